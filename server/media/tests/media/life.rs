//! What becomes of a file, on every storage.

use std::{future::Future, io::Cursor, time::Duration};

use axum::{
    body::to_bytes,
    http::{HeaderMap, StatusCode, header},
};
use bytes::Bytes;
use futures_util::{TryStreamExt as _, stream};
use nexus_event_store::Scan;
use nexus_media::{
    Blobs, ByteRange, Fit, Link, Media, MediaError, Medium, NewMedium, ThumbnailSize, reply,
    tables::{Blobs as BlobRows, PendingObjects},
};

use crate::{
    s3,
    world::{ANNA, BEN, Fixture, LIMIT, body, fixture},
};

/// Runs a test on memory, a folder and S3.
async fn on_every_storage<F: Future<Output = ()>>(test: impl Fn(Fixture) -> F) {
    test(fixture(Blobs::in_memory()).await).await;
    let folder = tempfile::tempdir().unwrap();
    test(fixture(Blobs::in_folder(&folder.path().join("media")).unwrap()).await).await;
    let folder = tempfile::tempdir().unwrap();
    let bucket = s3::start(folder.path()).await;
    test(fixture(Blobs::in_bucket(&bucket).unwrap()).await).await;
}

async fn read(media: &Media, medium: &Medium, range: ByteRange) -> Vec<u8> {
    let content = media.content(medium, range).await.unwrap();
    let parts: Vec<Bytes> = content.stream.try_collect().await.unwrap();
    parts.concat()
}

fn noise(bytes: usize) -> Vec<u8> {
    let mut state = 7u32;
    let step = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..bytes).map(step).collect()
}

fn png(width: u32, height: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    let picture = image::RgbaImage::from_fn(width, height, |x, y| image::Rgba([x as u8, y as u8, 7, 200]));
    picture.write_to(&mut Cursor::new(&mut bytes), image::ImageFormat::Png).unwrap();
    bytes
}

#[tokio::test]
async fn what_was_uploaded_is_read_whole_and_in_parts() {
    on_every_storage(|world| async move {
        for size in [0, 1, 1000, 11 << 20] {
            let bytes = noise(size);
            let medium = world.upload(ANNA, "noise.bin", &bytes).await.unwrap();
            assert_eq!(world.media.medium(&medium.id).await.unwrap(), medium);
            assert_eq!(medium.bytes, size as u64);
            assert!(read(&world.media, &medium, ByteRange::Whole).await == bytes);
            if size > 1 {
                let part = read(&world.media, &medium, ByteRange::From(1, Some(size as u64 - 2))).await;
                assert!(part == bytes[1..size - 1]);
                assert!(read(&world.media, &medium, ByteRange::Last(3)).await == bytes[size - 3..]);
            }
        }
    })
    .await;
}

#[tokio::test]
async fn equal_content_is_kept_once_until_nobody_has_it() {
    on_every_storage(|world| async move {
        let bytes = noise(100_000);
        let first = world.upload(ANNA, "a.bin", &bytes).await.unwrap();
        let second = world.upload(BEN, "b.bin", &bytes).await.unwrap();
        assert_ne!(first.id, second.id);
        let blobs = || async { world.store.scan::<BlobRows>(Scan::prefix::<BlobRows>(&())).await.unwrap() };
        assert_eq!(blobs().await.len(), 1);
        world.media.delete(&first.id).await.unwrap();
        assert!(read(&world.media, &second, ByteRange::Whole).await == bytes);
        assert!(matches!(world.media.medium(&first.id).await, Err(MediaError::Unknown)));
        assert_eq!(world.media.delete_all_of(BEN).await.unwrap(), 1);
        assert_eq!(blobs().await.len(), 0);
        assert!(world.media.content(&second, ByteRange::Whole).await.is_err());
        assert_eq!(world.media.clean_up().await.unwrap(), 0);
    })
    .await;
}

#[tokio::test]
async fn a_refused_upload_leaves_nothing() {
    on_every_storage(|world| async move {
        let large = world.upload(ANNA, "large", &vec![7; LIMIT as usize + 1]).await;
        assert!(matches!(large, Err(MediaError::TooLarge { limit: LIMIT })));
        let cut = stream::iter([Ok(Bytes::from_static(b"half")), Err(axum::Error::new("gone"))]);
        let cut = world.media.upload(ANNA, NewMedium::default(), cut).await;
        assert!(matches!(cut, Err(MediaError::Interrupted)));
        assert_eq!(world.media.clean_up().await.unwrap(), 0);
        assert_eq!(world.media.delete_all_of(ANNA).await.unwrap(), 0);
    })
    .await;
}

#[tokio::test]
async fn what_a_crash_leaves_is_removed_at_the_next_start() {
    on_every_storage(|world| async move {
        let endless = stream::iter([Ok(Bytes::from(noise(6 << 20)))]);
        let endless = Box::pin(futures_util::StreamExt::chain(endless, stream::pending()));
        {
            let upload = world.media.upload(ANNA, NewMedium::default(), endless);
            tokio::pin!(upload);
            // Until it hangs in the middle of its body, as when the process dies there.
            let pending = || world.store.scan::<PendingObjects>(Scan::prefix::<PendingObjects>(&()));
            loop {
                tokio::select! {
                    biased;
                    _ = &mut upload => unreachable!("the body never ends"),
                    () = tokio::task::yield_now() => {}
                }
                if !pending().await.unwrap().is_empty() {
                    break;
                }
            }
        }
        assert_eq!(world.media.clean_up().await.unwrap(), 1);
        assert_eq!(world.media.clean_up().await.unwrap(), 0);
    })
    .await;
}

#[tokio::test]
async fn thumbnails_are_made_of_pictures_only() {
    on_every_storage(|world| async move {
        let medium = world.upload(ANNA, "wide.png", &png(400, 200)).await.unwrap();
        assert_eq!(medium.pixels, Some((400, 200)));
        let wanted = ThumbnailSize { width: 90, height: 90, fit: Fit::Crop };
        let made = world.media.thumbnail(&medium, wanted).await.unwrap();
        let size = image::load_from_memory(&made.bytes).map(|picture| (picture.width(), picture.height()));
        assert_eq!(size.unwrap(), (96, 96));
        assert_eq!(world.media.thumbnail(&medium, wanted).await.unwrap(), made);
        let script = world.upload(ANNA, "picture.png", b"%!PS-Adobe-3.0").await.unwrap();
        let refused = world.media.thumbnail(&script, wanted).await;
        assert!(matches!(refused, Err(MediaError::NotAPicture(_))));
        world.media.delete(&medium.id).await.unwrap();
        assert!(world.media.thumbnail(&medium, wanted).await.is_err());
    })
    .await;
}

#[tokio::test]
async fn a_reserved_address_is_filled_once_by_its_owner() {
    let world = fixture(Blobs::in_memory()).await;
    let reserved = world.media.reserve(ANNA).await.unwrap();
    let fill = |user| {
        let media = world.media.clone();
        let id = reserved.id.clone();
        async move { media.upload_reserved(user, &id, NewMedium::default(), body(b"x")).await }
    };
    assert!(matches!(world.media.medium(&reserved.id).await, Err(MediaError::NotYetUploaded)));
    assert!(matches!(fill(BEN).await, Err(MediaError::NotYours)));
    assert_eq!(fill(ANNA).await.unwrap().id, reserved.id);
    assert!(matches!(fill(ANNA).await, Err(MediaError::AlreadyUploaded)));
    let late = world.media.reserve(ANNA).await.unwrap();
    world.clock.advance(Duration::from_secs(25 * 60 * 60));
    assert!(matches!(world.media.medium(&late.id).await, Err(MediaError::Unknown)));
    for _ in 0..100 {
        world.media.reserve(BEN).await.unwrap();
    }
    assert!(matches!(world.media.reserve(BEN).await, Err(MediaError::TooManyReserved { .. })));
}

#[tokio::test]
async fn links_are_good_for_what_they_name_and_for_a_day() {
    let world = fixture(Blobs::in_memory()).await;
    let link = Link { channel: 1, attachment: 2, file_name: "a b/ü.png", media_id: "Xy_-" };
    let url = world.media.link(link).await.unwrap();
    assert!(url.starts_with("/attachments/1/2/a%20b%2F%C3%BC.png?"), "{url}");
    let value = |name: &str| {
        let start = url.find(&format!("{name}=")).unwrap() + name.len() + 1;
        url[start..].split('&').next().unwrap().to_owned()
    };
    let (issued, expires, seal) = (value("is"), value("ex"), value("hm"));
    let good = |link| world.media.is_good_link(link, &issued, &expires, &seal);
    assert!(good(link).await.unwrap());
    for other in [
        Link { channel: 2, ..link },
        Link { attachment: 1, ..link },
        Link { file_name: "b", ..link },
        Link { media_id: "Xy", ..link },
    ] {
        assert!(!good(other).await.unwrap());
    }
    assert!(!world.media.is_good_link(link, &issued, "ffffffffff", &seal).await.unwrap());
    assert!(!world.media.is_good_link(link, "", "", "").await.unwrap());
    world.clock.advance(Duration::from_secs(26 * 60 * 60));
    assert!(!good(link).await.unwrap());
}

#[tokio::test]
async fn responses_follow_the_conditions_of_requests() {
    let world = fixture(Blobs::in_memory()).await;
    let medium = world.upload(ANNA, "page.html", b"<script>0</script>").await.unwrap();
    let ask = async |name: header::HeaderName, value: &str| {
        let mut request = HeaderMap::new();
        request.insert(name, value.parse().unwrap());
        reply::medium(&world.media, &medium, &request, None, reply::Keep::Client).await.unwrap()
    };
    let whole = ask(header::ACCEPT, "*/*").await;
    assert_eq!(whole.status(), StatusCode::OK);
    let tag = whole.headers()[header::ETAG].to_str().unwrap().to_owned();
    assert_eq!(whole.headers()[header::CONTENT_DISPOSITION], "attachment; filename=\"page.html\"");
    assert!(whole.headers()[header::CONTENT_SECURITY_POLICY].to_str().unwrap().starts_with("sandbox;"));
    let part = ask(header::RANGE, "bytes=1-6").await;
    assert_eq!(part.status(), StatusCode::PARTIAL_CONTENT);
    assert_eq!(part.headers()[header::CONTENT_RANGE], "bytes 1-6/18");
    assert_eq!(to_bytes(part.into_body(), 100).await.unwrap(), "script");
    let beyond = ask(header::RANGE, "bytes=18-").await;
    assert_eq!(beyond.status(), StatusCode::RANGE_NOT_SATISFIABLE);
    assert_eq!(beyond.headers()[header::CONTENT_RANGE], "bytes */18");
    assert_eq!(ask(header::IF_NONE_MATCH, &tag).await.status(), StatusCode::NOT_MODIFIED);
}

#[tokio::test(start_paused = true)]
async fn an_upload_that_stands_still_is_given_up_and_nobody_has_too_many() {
    let world = fixture(Blobs::in_memory()).await;
    let stuck = || {
        let start = stream::iter([Ok(Bytes::from_static(b"x"))]);
        Box::pin(futures_util::StreamExt::chain(start, stream::pending()))
    };
    let all = (0..17).map(|_| world.media.upload(ANNA, NewMedium::default(), stuck()));
    let outcomes = futures_util::future::join_all(all).await;
    let refused = outcomes.iter().filter(|one| matches!(one, Err(MediaError::TooManyAtOnce { .. }))).count();
    let given_up = outcomes.iter().filter(|one| matches!(one, Err(MediaError::Interrupted))).count();
    assert_eq!((refused, given_up), (1, 16));
    assert!(world.upload(ANNA, "again", b"x").await.is_ok());
    assert_eq!(world.media.clean_up().await.unwrap(), 0);
}
