//! What a JSON text would hold, counted before it is read.
//!
//! In memory, `{"":0}` takes a hundred times its length. So a bound on the length of a body is none on what it costs,
//! unless the values in it are bounded, too.

use super::error::ApiError;

/// How many values a text has, or may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    /// Objects and arrays: some 600 bytes each in memory.
    pub(super) containers: usize,
    /// What follows another value in an object or array: some 100 bytes each in memory.
    pub(super) followers: usize,
}

/// Most values of one resource. A real one has three objects (itself, what wraps it, its labels) and a few dozen attributes
/// and labels.
pub(super) const RESOURCE: Shape = Shape { containers: 64, followers: 4096 };

impl Shape {
    /// Counts. Whether the text is JSON is for the parser to say: of what is none, no more is read than was counted.
    pub(super) fn of(text: &[u8]) -> Self {
        let mut shape = Self { containers: 0, followers: 0 };
        let (mut in_text, mut escaped) = (false, false);
        for byte in text {
            match (in_text, byte) {
                (true, _) if escaped => escaped = false,
                (true, b'\\') => escaped = true,
                (_, b'"') => in_text = !in_text,
                (false, b'{' | b'[') => shape.containers += 1,
                (false, b',') => shape.followers += 1,
                _ => {}
            }
        }
        shape
    }

    /// The same for each of many.
    pub(super) const fn times(self, count: usize) -> Self {
        Self { containers: self.containers * count, followers: self.followers * count }
    }

    /// Refuses a text that has more.
    ///
    /// # Errors
    /// [`ApiError::too_many_values`].
    pub(super) fn admit(self, text: &[u8]) -> Result<(), ApiError> {
        let found = Self::of(text);
        if found.containers > self.containers || found.followers > self.followers {
            return Err(ApiError::too_many_values());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_counted_outside_of_texts_only() {
        let check = |text: &str, containers, followers| {
            assert_eq!(Shape::of(text.as_bytes()), Shape { containers, followers }, "{text}");
        };
        check("", 0, 0);
        check("1", 0, 0);
        check(r#"{"a": [1, 2], "b": {}}"#, 3, 2);
        check(r#"{"[,\"[,": "\\", "{": 1}"#, 1, 1);
        check("[[[", 3, 0);
    }
}
