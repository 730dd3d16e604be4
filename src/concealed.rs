//! A secret value on its way to one screen, and nowhere else.
//!
//! Its type has no text of its own: it cannot be printed, logged, copied, compared or serialised, and its bytes are
//! overwritten when it goes. Only who draws it asks for the text.

use std::fmt;

/// The value of one key of a Secret.
pub struct Concealed(Vec<u8>);

impl Concealed {
    /// Takes the bytes.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// Returns the text for the screen, cleaned; `None` for what is no text.
    pub fn shown(&self) -> Option<String> {
        let text = std::str::from_utf8(&self.0).ok()?;
        Some(crate::text::one_line(text).into_owned())
    }

    /// Returns how many bytes it has.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Tells whether it is empty.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Concealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(hidden)")
    }
}

impl Drop for Concealed {
    fn drop(&mut self) {
        self.0.fill(0);
        // Seen from here on, so that the zeros are really written.
        std::hint::black_box(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_has_no_text_but_for_the_screen() {
        let value = Concealed::new(b"canary\x1b[31m".to_vec());
        assert_eq!(format!("{value:?}"), "(hidden)");
        assert!(value.shown().is_some_and(|text| text.starts_with("canary") && !text.contains('\x1b')));
        assert_eq!(Concealed::new(vec![0xff, 0xfe]).shown(), None);
    }
}
