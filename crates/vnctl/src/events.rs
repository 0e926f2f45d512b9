//! Server-sent events, as they come over a connection (WHATWG HTML, 9.2.6).

use std::io::{self, BufRead, Read};

/// The largest event that is read, in bytes: a commit has at most 64 MiB, and takes up to four times as much to show.
const MAX_EVENT: usize = 256 << 20;

/// An event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Event {
    /// What it is.
    pub(crate) name: String,
    /// What tells where it was, if it says.
    pub(crate) id: Option<String>,
    /// What it says; nothing, if it only moves the id.
    pub(crate) data: String,
}

/// Reads events, one after the other.
#[derive(Debug)]
pub(crate) struct Events<R> {
    reader: R,
}

impl<R: BufRead> Events<R> {
    pub(crate) fn new(reader: R) -> Self {
        Self { reader }
    }

    /// The next event; none at the end. What has not come whole by then is no event.
    ///
    /// # Errors
    /// The connection breaks, or what comes are no events.
    pub(crate) fn next(&mut self) -> io::Result<Option<Event>> {
        let (mut event, mut size) = (Event::default(), 0);
        while let Some(line) = self.line(MAX_EVENT - size)? {
            size += line.len();
            let line = line.trim_end_matches(['\n', '\r']);
            if line.is_empty() && event == Event::default() {
                continue;
            }
            let (field, value) = line.split_once(':').unwrap_or((line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match field {
                "" if line.is_empty() => return Ok(Some(event)),
                "event" => value.clone_into(&mut event.name),
                "id" => event.id = Some(value.to_owned()),
                "data" if event.data.is_empty() => value.clone_into(&mut event.data),
                "data" => event.data.extend(["\n", value]),
                // Comments, and what a newer manager may say.
                _ => {}
            }
        }
        Ok(None)
    }

    /// A line with its end; none if there is no whole one any more.
    fn line(&mut self, room: usize) -> io::Result<Option<String>> {
        let mut line = Vec::new();
        let room = u64::try_from(room).unwrap_or(u64::MAX);
        self.reader.by_ref().take(room).read_until(b'\n', &mut line)?;
        if line.ends_with(b"\n") {
            return String::from_utf8(line).map(Some).map_err(io::Error::other);
        }
        match u64::try_from(line.len()) {
            Ok(length) if length < room => Ok(None),
            _ => Err(io::Error::other("an event is too large")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[(&str, Option<&str>, &str)]) {
        let mut events = Events::new(text.as_bytes());
        let mut found = Vec::new();
        while let Some(event) = events.next().expect("text") {
            found.push(event);
        }
        let event = |(name, id, data): &(&str, Option<&str>, &str)| Event {
            name: (*name).to_owned(),
            id: id.map(ToOwned::to_owned),
            data: (*data).to_owned(),
        };
        assert_eq!(found, expected.iter().map(event).collect::<Vec<_>>(), "{text:?}");
    }

    #[test]
    fn events_are_read_as_the_standard_says() {
        check("", &[]);
        check("event: commit\nid: 7\ndata: {}\n\n", &[("commit", Some("7"), "{}")]);
        check("data: [1,\ndata:2\r\ndata:  3]\r\n\r\n", &[("", None, "[1,\n2\n 3]")]);
        check(": here\nid: 8\n\n\n\ndata: a\n\n", &[("", Some("8"), ""), ("", None, "a")]);
        check("retry: 1000\nnews: x\ndata\nevent: e\n\n", &[("e", None, "")]);
    }

    #[test]
    fn half_an_event_is_none() {
        check("data: a\n\nid: 2\ndata: b\n", &[("", None, "a")]);
        check("data: a\n\nid: 2", &[("", None, "a")]);
    }
}
