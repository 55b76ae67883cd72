//! Pictures: what they are by their own bytes, how large, and smaller copies of them.
//!
//! **Invariant** (attack 42): only the decoders of the list below ever see a byte, chosen by the content's
//! magic number and never by what its uploader said; their memory and the pixels are bounded before anything
//! is decoded. All of them are safe Rust.

use std::{io::Cursor, panic::AssertUnwindSafe};

use image::{
    DynamicImage, ImageDecoder as _, ImageFormat, ImageReader, Limits, codecs::jpeg::JpegEncoder, imageops,
};

use crate::{Fit, ThumbnailSize};

/// The decoders there are.
const FORMATS: [ImageFormat; 4] = [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::Gif, ImageFormat::WebP];
/// The largest picture that is decoded.
const PIXELS_MAX: u64 = 40_000_000;
const SIDE_MAX: u32 = 20_000;
const ALLOCATION_BYTES_MAX: u64 = 320 << 20;
const JPEG_QUALITY: u8 = 82;

/// A smaller copy of a picture.
pub(crate) struct Copy {
    pub(crate) content_type: &'static str,
    pub(crate) bytes: Vec<u8>,
}

fn reader(bytes: &[u8]) -> Option<ImageReader<Cursor<&[u8]>>> {
    let format = image::guess_format(bytes).ok().filter(|format| FORMATS.contains(format))?;
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    let mut limits = Limits::default();
    limits.max_image_width = Some(SIDE_MAX);
    limits.max_image_height = Some(SIDE_MAX);
    limits.max_alloc = Some(ALLOCATION_BYTES_MAX);
    reader.limits(limits);
    Some(reader)
}

/// Width and height as they are shown, of a picture that begins with `head`; `None` if it is none.
pub(crate) fn size_of(head: &[u8]) -> Option<(u32, u32)> {
    let read = || {
        let mut decoder = reader(head)?.into_decoder().ok()?;
        let (width, height) = decoder.dimensions();
        // Rotated by a quarter: shown with its sides changed.
        let turned = decoder.orientation().is_ok_and(|turn| turn.to_exif() >= 5);
        Some(if turned { (height, width) } else { (width, height) })
    };
    guarded(read).filter(|(width, height)| *width > 0 && *height > 0)
}

/// A copy that fits `size`, never larger than the picture itself.
pub(crate) fn shrink(bytes: &[u8], size: ThumbnailSize) -> Result<Copy, &'static str> {
    let read = || Some(decode_and_shrink(bytes, size));
    guarded(read).unwrap_or(Err("its content breaks the decoder"))
}

fn decode_and_shrink(bytes: &[u8], size: ThumbnailSize) -> Result<Copy, &'static str> {
    let reader = reader(bytes).ok_or("it is no PNG, JPEG, GIF or WebP")?;
    let mut decoder = reader.into_decoder().map_err(|_| "its content is damaged or too large")?;
    let (width, height) = decoder.dimensions();
    if u64::from(width) * u64::from(height) > PIXELS_MAX {
        return Err("it has too many pixels");
    }
    let orientation = decoder.orientation().ok();
    let mut picture =
        DynamicImage::from_decoder(decoder).map_err(|_| "its content is damaged or too large")?;
    if let Some(orientation) = orientation {
        picture.apply_orientation(orientation);
    }
    let (width, height) = (size.width.min(picture.width()), size.height.min(picture.height()));
    let small = match size.fit {
        Fit::Crop => picture.resize_to_fill(width, height, imageops::FilterType::Triangle),
        Fit::Scale if (width, height) == (picture.width(), picture.height()) => picture,
        // `thumbnail` averages and is fast where much is thrown away.
        Fit::Scale => picture.thumbnail(size.width, size.height),
    };
    encode(&small)
}

fn encode(picture: &DynamicImage) -> Result<Copy, &'static str> {
    let mut bytes = Vec::new();
    let failed = |_| "it cannot be encoded";
    if picture.color().has_alpha() {
        picture.write_to(&mut Cursor::new(&mut bytes), ImageFormat::Png).map_err(failed)?;
        return Ok(Copy { content_type: "image/png", bytes });
    }
    let encoder = JpegEncoder::new_with_quality(&mut bytes, JPEG_QUALITY);
    picture.to_rgb8().write_with_encoder(encoder).map_err(failed)?;
    Ok(Copy { content_type: "image/jpeg", bytes })
}

/// A decoder that panics has met a picture it does not understand, no more.
fn guarded<T>(read: impl FnOnce() -> Option<T>) -> Option<T> {
    std::panic::catch_unwind(AssertUnwindSafe(read)).ok().flatten()
}

#[cfg(test)]
pub(crate) mod tests {
    use image::{Rgb, RgbImage, Rgba, RgbaImage};

    use super::*;

    /// A PNG of that size.
    pub(crate) fn png(width: u32, height: u32) -> Vec<u8> {
        let picture = RgbaImage::from_fn(width, height, |x, y| Rgba([x as u8, y as u8, 7, 200]));
        encoded(&picture.into(), ImageFormat::Png)
    }

    fn encoded(picture: &DynamicImage, format: ImageFormat) -> Vec<u8> {
        let mut bytes = Vec::new();
        picture.write_to(&mut Cursor::new(&mut bytes), format).unwrap();
        bytes
    }

    fn size(width: u32, height: u32, fit: Fit) -> ThumbnailSize {
        ThumbnailSize { width, height, fit }
    }

    #[test]
    fn sizes_are_read_from_the_first_bytes() {
        let jpeg = RgbImage::from_pixel(300, 200, Rgb([1, 2, 3]));
        let jpeg = encoded(&jpeg.into(), ImageFormat::Jpeg);
        assert_eq!(size_of(&jpeg[..jpeg.len() / 2]), Some((300, 200)));
        assert_eq!(size_of(&png(20, 10)), Some((20, 10)));
        for other in [&b"<svg xmlns='http://www.w3.org/2000/svg'/>"[..], b"", b"\x89PNG", b"%!PS-Adobe-3.0"] {
            assert_eq!(size_of(other), None);
        }
    }

    #[test]
    fn thumbnails_fit_and_do_not_grow() {
        let shown = |bytes: &[u8], wanted| {
            let copy = shrink(bytes, wanted).map_err(str::to_owned)?;
            Ok::<_, String>((copy.content_type, size_of(&copy.bytes)))
        };
        let wide = png(400, 200);
        assert_eq!(shown(&wide, size(100, 100, Fit::Scale)), Ok(("image/png", Some((100, 50)))));
        assert_eq!(shown(&wide, size(96, 96, Fit::Crop)), Ok(("image/png", Some((96, 96)))));
        assert_eq!(shown(&wide, size(800, 600, Fit::Scale)), Ok(("image/png", Some((400, 200)))));
        let photo = encoded(&RgbImage::from_pixel(64, 64, Rgb([9, 9, 9])).into(), ImageFormat::Jpeg);
        assert_eq!(shown(&photo, size(32, 32, Fit::Crop)), Ok(("image/jpeg", Some((32, 32)))));
    }

    /// A PNG that says it is `width` by `height`, with no pixels behind it.
    fn bomb(width: u32, height: u32) -> Vec<u8> {
        let header = [width.to_be_bytes().as_slice(), &height.to_be_bytes(), &[8, 6, 0, 0, 0]].concat();
        let mut bytes = b"\x89PNG\r\n\x1a\n".to_vec();
        for (kind, data) in [(b"IHDR", header), (b"IDAT", vec![0x78, 0x9c])] {
            let named = [kind.as_slice(), &data].concat();
            bytes.extend((data.len() as u32).to_be_bytes());
            bytes.extend(&named);
            bytes.extend(crc(&named).to_be_bytes());
        }
        bytes
    }

    fn crc(bytes: &[u8]) -> u32 {
        !bytes.iter().fold(!0u32, |crc, byte| {
            (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
                (crc >> 1) ^ (0xedb8_8320 & 0u32.wrapping_sub(crc & 1))
            })
        })
    }

    #[test]
    fn attack_42_only_known_formats_of_bounded_size_are_decoded() {
        let wanted = size(32, 32, Fit::Scale);
        let refused = |bytes: &[u8]| shrink(bytes, wanted).map(|copy| copy.content_type);
        for foreign in [
            &b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 1 1"[..],
            b"<svg xmlns='http://www.w3.org/2000/svg'><image href='file:///etc/passwd'/></svg>",
            b"II*\x00\x08\x00\x00\x00",
            b"BM\x00\x00\x00\x00",
            b"8BPS\x00\x01",
        ] {
            assert_eq!(refused(foreign), Err("it is no PNG, JPEG, GIF or WebP"));
        }
        assert!(refused(&bomb(60_000, 60_000)).is_err());
        assert_eq!(refused(&bomb(19_000, 19_000)), Err("it has too many pixels"));
        let mut cut = png(50, 50);
        cut.truncate(cut.len() / 2);
        assert!(refused(&cut).is_err());
    }
}
