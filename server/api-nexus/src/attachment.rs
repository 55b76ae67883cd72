//! Attachments of a message: in its event, in a request, and as objects.
//!
//! **Shapes**: the event is Matrix's own (`m.image`, `m.video`, `m.audio`, `m.file`) for the first
//! attachment, so that Matrix clients show it; `nexus.attachments` lists all of them. A message that a
//! Matrix client wrote has one attachment, read from Matrix's fields.
//! **Ids**: the message's snowflake plus the attachment's number in its message, so that nothing is stored
//! for them. **Source**: `discord-api-docs`, "Attachment Object"; Matrix v1.19, "m.room.message msgtypes".

use nexus_event_store::Snowflake;
use nexus_media::{Link, Medium, reply};
use serde_json::{Map, Value, json};

use crate::{
    error::ApiError,
    form::Form,
    objects::{Built, Objects, message::Place},
};

/// The most attachments of a message.
pub(crate) const ATTACHMENTS: usize = 10;
const DESCRIPTION_CHARS: usize = 1024;
const NAME_CHARS: usize = 255;
/// Discord's mark of a file that is hidden until it is clicked.
const SPOILER: &str = "SPOILER_";
const IS_SPOILER: u64 = 1 << 5;

/// An attachment.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Attachment {
    /// Its number in its message.
    pub(crate) number: u64,
    /// Its `mxc` address.
    pub(crate) url: String,
    pub(crate) file_name: String,
    pub(crate) content_type: String,
    pub(crate) bytes: u64,
    pub(crate) pixels: Option<(u32, u32)>,
    pub(crate) description: Option<String>,
}

/// What a request says of an attachment: one that comes with it, or one that the message has.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct AttachmentForm {
    /// The number of a new file, or the id of one that stays.
    pub(crate) id: u64,
    pub(crate) file_name: Option<String>,
    pub(crate) description: Option<String>,
}

/// Reads `attachments` of a body.
pub(crate) fn forms(form: &Form<'_>) -> Option<Vec<AttachmentForm>> {
    form.objects("attachments", ATTACHMENTS, |form| {
        form.require("id");
        AttachmentForm {
            id: form.snowflake("id").unwrap_or_default().0,
            file_name: form.text("filename", 0..=NAME_CHARS).filter(|name| !name.is_empty()),
            description: form.text("description", 0..=DESCRIPTION_CHARS).filter(|text| !text.is_empty()),
        }
    })
}

/// The attachments of a message after a request: those of `before` that stay, then the new `files`.
pub(crate) fn merged(
    server_name: &str,
    message: Option<Snowflake>,
    before: Vec<Attachment>,
    forms: Option<&[AttachmentForm]>,
    files: &[(u64, Medium)],
) -> Result<Vec<Attachment>, ApiError> {
    let said = |id: u64| forms.into_iter().flatten().find(|form| form.id == id);
    let next = before.iter().map(|attachment| attachment.number + 1).max().unwrap_or(0);
    let mut kept: Vec<Attachment> = match (forms, message) {
        (Some(_), Some(message)) => {
            before.into_iter().filter(|attachment| said(message.0 + attachment.number).is_some()).collect()
        }
        _ => before,
    };
    for (new, (number, medium)) in (next..).zip(files) {
        let form = said(*number);
        let name = form.and_then(|form| form.file_name.clone()).or(medium.file_name.clone());
        kept.push(Attachment {
            number: new,
            url: reply::mxc(server_name, &medium.id),
            file_name: name.unwrap_or_else(|| "unknown".to_owned()),
            content_type: medium.content_type.clone(),
            bytes: medium.bytes,
            pixels: medium.pixels,
            description: form.and_then(|form| form.description.clone()),
        });
    }
    if kept.len() > ATTACHMENTS {
        let message = format!("Must be {ATTACHMENTS} or fewer in length.");
        return Err(ApiError::field(&["attachments"], "BASE_TYPE_MAX_LENGTH", &message));
    }
    let unknown =
        |form: &&AttachmentForm| message.is_none() && !files.iter().any(|(number, _)| *number == form.id);
    if forms.into_iter().flatten().any(|form| unknown(&form)) {
        let message = "There is no file for it.";
        return Err(ApiError::field(&["attachments"], "ATTACHMENT_NOT_FOUND", message));
    }
    Ok(kept)
}

/// Writes attachments into a message's content, whose `body` is its text so far.
pub(crate) fn write(object: &mut Map<String, Value>, attachments: &[Attachment]) {
    let Some((first, others)) = attachments.split_first() else { return };
    let kind = first.content_type.split('/').next().unwrap_or_default();
    let msgtype = match kind {
        "image" => "m.image",
        "video" => "m.video",
        "audio" => "m.audio",
        _ => "m.file",
    };
    object.insert("msgtype".to_owned(), msgtype.into());
    let mut info = json!({ "mimetype": first.content_type, "size": first.bytes });
    if let Some((width, height)) = first.pixels {
        info["w"] = width.into();
        info["h"] = height.into();
    }
    object.insert("info".to_owned(), info);
    object.insert("url".to_owned(), first.url.clone().into());
    object.insert("filename".to_owned(), first.file_name.clone().into());
    let text = object.get("body").and_then(Value::as_str).unwrap_or_default().to_owned();
    let mut body = if text.is_empty() { first.file_name.clone() } else { text };
    // Clients without `nexus.attachments` show one file: at least they say that there are more.
    for other in others {
        body.push('\n');
        body.push_str(&other.file_name);
    }
    object.insert("body".to_owned(), body.into());
    let list = attachments.iter().map(|attachment| {
        let mut item = json!({
            "number": attachment.number,
            "url": attachment.url,
            "filename": attachment.file_name,
            "mimetype": attachment.content_type,
            "size": attachment.bytes,
        });
        if let Some((width, height)) = attachment.pixels {
            item["w"] = width.into();
            item["h"] = height.into();
        }
        if let Some(description) = &attachment.description {
            item["description"] = description.clone().into();
        }
        item
    });
    object.insert("nexus.attachments".to_owned(), list.collect());
}

/// The attachments in a message's content, whoever wrote it.
pub(crate) fn read(content: &Value) -> Vec<Attachment> {
    if let Some(list) = content["nexus.attachments"].as_array() {
        return list.iter().take(ATTACHMENTS).filter_map(from_list).collect();
    }
    let is_file = matches!(content["msgtype"].as_str(), Some("m.image" | "m.video" | "m.audio" | "m.file"));
    let Some(url) = content["url"].as_str().filter(|url| is_file && reply::parse_mxc(url).is_some()) else {
        return Vec::new();
    };
    let name = content["filename"].as_str().or(content["body"].as_str()).unwrap_or("unknown");
    let info = &content["info"];
    vec![Attachment {
        number: 0,
        url: url.to_owned(),
        file_name: name.chars().take(NAME_CHARS).collect(),
        content_type: info["mimetype"].as_str().unwrap_or("application/octet-stream").to_owned(),
        bytes: info["size"].as_u64().unwrap_or(0),
        pixels: pixels(info),
        description: None,
    }]
}

fn from_list(item: &Value) -> Option<Attachment> {
    let url = item["url"].as_str().filter(|url| reply::parse_mxc(url).is_some())?;
    Some(Attachment {
        number: item["number"].as_u64().filter(|number| *number < 1 << 22)?,
        url: url.to_owned(),
        file_name: item["filename"].as_str()?.chars().take(NAME_CHARS).collect(),
        content_type: item["mimetype"].as_str().unwrap_or("application/octet-stream").to_owned(),
        bytes: item["size"].as_u64().unwrap_or(0),
        pixels: pixels(item),
        description: item["description"].as_str().map(|text| text.chars().take(DESCRIPTION_CHARS).collect()),
    })
}

fn pixels(object: &Value) -> Option<(u32, u32)> {
    let side = |name: &str| object[name].as_u64().and_then(|side| u32::try_from(side).ok());
    Some((side("w")?, side("h")?)).filter(|(width, height)| *width > 0 && *height > 0)
}

/// Whether the `body` of a message is no more than the name of its file.
pub(crate) fn is_only_a_name(content: &Value) -> bool {
    content["url"].is_string()
        && matches!(content["msgtype"].as_str(), Some("m.image" | "m.video" | "m.audio" | "m.file"))
        && content["filename"].as_str().is_none_or(|name| content["body"].as_str() == Some(name))
}

impl Objects {
    /// Attachment objects, with links that are good for a day.
    pub(crate) async fn attachments(
        &self,
        place: Place,
        message: Snowflake,
        attachments: &[Attachment],
    ) -> Built<Vec<Value>> {
        let mut objects = Vec::with_capacity(attachments.len());
        for attachment in attachments {
            let Some((_, media_id)) = reply::parse_mxc(&attachment.url) else { continue };
            let id = message.0 + attachment.number;
            let file_name = attachment.file_name.as_str();
            let link = Link { channel: place.channel_id.0, attachment: id, file_name, media_id };
            let url = format!("{}{}", self.public_url, self.media.link(link).await?);
            let mut object = json!({
                "id": id.to_string(),
                "filename": file_name,
                "size": attachment.bytes,
                "content_type": attachment.content_type,
                "url": url,
                "proxy_url": url,
                "mxc": attachment.url,
                "flags": if file_name.starts_with(SPOILER) { IS_SPOILER } else { 0 },
            });
            if let Some((width, height)) = attachment.pixels {
                object["width"] = width.into();
                object["height"] = height.into();
            }
            if let Some(description) = &attachment.description {
                object["description"] = description.clone().into();
            }
            objects.push(object);
        }
        Ok(objects)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attachment(number: u64, name: &str) -> Attachment {
        Attachment {
            number,
            url: format!("mxc://a.example/{name}"),
            file_name: format!("{name}.png"),
            content_type: "image/png".to_owned(),
            bytes: 5,
            pixels: Some((2, 3)),
            description: Some("words".to_owned()),
        }
    }

    #[test]
    fn what_is_written_is_read_and_matrix_sees_the_first() {
        let list = [attachment(0, "a"), attachment(2, "b")];
        let mut object = Map::new();
        object.insert("body".to_owned(), "look".into());
        write(&mut object, &list);
        let content = Value::Object(object);
        assert_eq!(read(&content), list);
        assert_eq!(content["msgtype"], "m.image");
        assert_eq!(content["url"], "mxc://a.example/a");
        assert_eq!(content["body"], "look\nb.png");
        assert!(!is_only_a_name(&content));
    }

    #[test]
    fn a_matrix_file_is_an_attachment() {
        let content =
            json!({ "msgtype": "m.file", "body": "a.pdf", "url": "mxc://b/c", "info": { "size": 7 } });
        let read_back = read(&content);
        assert_eq!((read_back.len(), read_back[0].bytes), (1, 7));
        assert!(is_only_a_name(&content));
        for odd in [
            json!({ "msgtype": "m.file", "url": "http://b/c" }),
            json!({ "msgtype": "m.text", "url": "mxc://b/c" }),
            json!({ "nexus.attachments": [3, { "url": "mxc://b/c" }, { "url": "x", "number": 1, "filename": "" }] }),
        ] {
            assert_eq!(read(&odd), [], "{odd}");
        }
    }

    #[test]
    fn an_edit_keeps_what_it_names_and_adds_what_it_brings() {
        let before = vec![attachment(0, "a"), attachment(1, "b")];
        let message = Some(Snowflake(100));
        let keep = [AttachmentForm { id: 101, file_name: None, description: None }];
        let merge = |forms| merged("a.example", message, before.clone(), forms, &[]).unwrap();
        assert_eq!(merge(Some(&keep[..])), [attachment(1, "b")]);
        assert_eq!(merge(Some(&[])), []);
        assert_eq!(merge(None), before);
        let unknown = merged("a.example", None, Vec::new(), Some(&keep), &[]);
        assert!(matches!(unknown, Err(ApiError::Form(_))));
    }
}
