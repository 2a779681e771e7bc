//! Step and tags of a serialized event. Its summary's values are not looked into: protobuf 2 descends into nested groups without a
//! limit (RUSTSEC-2024-0437), and images need not be copied to know their tags.

/// The step of an event and the tags of its summary's values.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct EventTags {
    pub step: u64,
    pub tags: Vec<String>,
}

/// Field numbers of `tensorflow/core/util/event.proto` and `tensorflow/core/framework/summary.proto`.
const EVENT_STEP: u64 = 2;
const EVENT_SUMMARY: u64 = 5;
const SUMMARY_VALUE: u64 = 1;
const VALUE_TAG: u64 = 1;

/// A field's content, as far as it matters here.
enum Content<'a> {
    Number(u64),
    Bytes(&'a [u8]),
    Fixed,
}

/// Step and tags of a serialized `Event`; none where it is no protobuf message.
pub(super) fn read(record: &[u8]) -> Option<EventTags> {
    let mut found = EventTags::default();
    for_each_field(record, |number, content| match (number, content) {
        (EVENT_STEP, Content::Number(step)) => {
            found.step = u64::try_from(step.cast_signed()).unwrap_or(0);
            Some(())
        }
        (EVENT_SUMMARY, Content::Bytes(summary)) => {
            for_each_field(summary, |number, content| match (number, content) {
                (SUMMARY_VALUE, Content::Bytes(value)) => {
                    found.tags.push(tag_of(value)?);
                    Some(())
                }
                _ => Some(()),
            })
        }
        _ => Some(()),
    })?;
    Some(found)
}

/// The tag of a serialized `Summary.Value`.
fn tag_of(value: &[u8]) -> Option<String> {
    let mut tag = String::new();
    for_each_field(value, |number, content| {
        if let (VALUE_TAG, Content::Bytes(bytes)) = (number, content) {
            tag = str::from_utf8(bytes).ok()?.to_owned();
        }
        Some(())
    })?;
    Some(tag)
}

/// Visits the fields of a message; none where it is broken or `visit` says none.
fn for_each_field<'a>(mut rest: &'a [u8], mut visit: impl FnMut(u64, Content<'a>) -> Option<()>) -> Option<()> {
    while !rest.is_empty() {
        let key = varint(&mut rest)?;
        let content = match key & 7 {
            0 => Content::Number(varint(&mut rest)?),
            1 => split(&mut rest, 8).map(|_| Content::Fixed)?,
            2 => {
                let length = usize::try_from(varint(&mut rest)?).ok()?;
                Content::Bytes(split(&mut rest, length)?)
            }
            5 => split(&mut rest, 4).map(|_| Content::Fixed)?,
            _ => return None, // groups, which events do not have
        };
        visit(key >> 3, content)?;
    }
    Some(())
}

fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, tail) = rest.split_first()?;
        *rest = tail;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

fn split<'a>(rest: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (head, tail) = rest.split_at_checked(length)?;
    *rest = tail;
    Some(head)
}

#[cfg(test)]
mod tests {
    use protobuf::Message;
    use tensorboard_proto::event::Event;

    use super::*;
    use crate::log::event_values;

    #[test]
    fn step_and_tags_are_what_protobuf_reads() {
        let mut event = Event::new();
        event.set_wall_time(1.5);
        event.set_step(300);
        event.mut_summary().mut_value().push(event_values::scalar("a/ü", 1.0));
        event.mut_summary().mut_value().push(event_values::text("b", &"x".repeat(5000)));
        let bytes = event.write_to_bytes().unwrap();
        assert_eq!(read(&bytes), Some(EventTags { step: 300, tags: vec!["a/ü".into(), "b".into()] }));
        event.set_step(-1);
        assert_eq!(read(&event.write_to_bytes().unwrap()).unwrap().step, 0);
        assert_eq!(read(&[]), Some(EventTags::default()));
    }

    #[test]
    fn what_is_no_event_is_refused() {
        let event = {
            let mut event = Event::new();
            event.mut_summary().mut_value().push(event_values::scalar("tag", 1.0));
            event.write_to_bytes().unwrap()
        };
        for end in 1..event.len() {
            let cut = &event[..end];
            assert!(read(cut).is_none_or(|found| found.tags.is_empty()), "{end}");
        }
        assert_eq!(read(&[0x0b; 64]), None); // groups
        assert_eq!(read(&[0x10, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]), None);
        assert_eq!(read(&[0x2a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]), None); // a length beyond all memory
    }
}
