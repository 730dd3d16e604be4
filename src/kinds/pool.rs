//! Texts that are shared: one allocation for what thousands of objects say alike.
//!
//! Each decoding task owns one pool; nothing is locked. It holds texts only, and forgets those that nobody
//! else holds any more.

use std::collections::HashSet;
use std::sync::Arc;

use crate::identity::Text;

/// Below this many texts a sweep is not worth its time.
const FEW: usize = 4_096;

/// The texts that a decoding task has seen.
#[derive(Debug, Default)]
pub struct Pool {
    texts: HashSet<Text>,
    /// When so many are held, those that nobody else holds are dropped.
    sweep_at: usize,
}

impl Pool {
    /// Returns the shared copy of a text.
    pub fn share(&mut self, text: &str) -> Text {
        if let Some(known) = self.texts.get(text) {
            return known.clone();
        }
        if self.texts.len() >= self.sweep_at.max(FEW) {
            self.texts.retain(|text| Arc::strong_count(text) > 1);
            // Twice what is in use: the cost of sweeping stays in proportion to what is added.
            self.sweep_at = self.texts.len() * 2;
        }
        let new: Text = Arc::from(text);
        self.texts.insert(new.clone());
        new
    }

    /// Returns how many texts are held.
    pub fn len(&self) -> usize {
        self.texts.len()
    }

    /// Tells whether no text is held.
    pub fn is_empty(&self) -> bool {
        self.texts.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_held_once_and_forgotten_when_nobody_needs_it() {
        let mut pool = Pool::default();
        let kept = pool.share("kept");
        assert!(Arc::ptr_eq(&kept, &pool.share("kept")));
        for number in 0..FEW * 3 {
            pool.share(&format!("passing-{number}"));
        }
        assert!(pool.len() <= FEW + 1, "{}", pool.len());
        assert!(Arc::ptr_eq(&kept, &pool.share("kept")));
    }
}
