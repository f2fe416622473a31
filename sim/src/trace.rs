//! What happened in a world, as one number: two runs of a seed that differ anywhere have different ones.
//!
//! Law: everything that one process learns of another is noted. Must not know: what it means.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Characters of a letter in a trace that is kept.
const LONGEST_LINE: usize = 2_000;

/// The trace. Clones are the same.
#[derive(Clone, Default)]
pub struct Trace(Arc<Mutex<Noted>>);

#[derive(Default)]
struct Noted {
    sum: blake3::Hasher,
    piece: Vec<u8>,
    /// Kept only where somebody wants to read them.
    lines: Option<Vec<String>>,
}

impl Noted {
    /// In one piece: what is added in many costs more than what is added.
    fn put(&mut self, what: &str, figures: &[u64]) {
        self.piece.clear();
        self.piece.extend_from_slice(what.as_bytes());
        figures.iter().for_each(|figure| self.piece.extend_from_slice(&figure.to_le_bytes()));
        self.sum.update(&self.piece);
    }
}

impl Trace {
    /// One that keeps what is noted, to compare two.
    pub fn kept() -> Self {
        Trace(Arc::new(Mutex::new(Noted { lines: Some(Vec::new()), ..Noted::default() })))
    }

    fn noted(&self) -> MutexGuard<'_, Noted> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something happened.
    pub fn note(&self, what: &str, figures: &[u64]) {
        let mut noted = self.noted();
        noted.put(what, figures);
        if let Some(lines) = &mut noted.lines {
            lines.push(format!("{what} {figures:?}"));
        }
    }

    /// A letter has arrived.
    pub fn letter(&self, what: &str, from: usize, to: usize, words: &[u8], now: u64) {
        let mut noted = self.noted();
        noted.sum.update(words);
        noted.put(what, &[from as u64, to as u64, words.len() as u64, now]);
        if let Some(lines) = &mut noted.lines {
            let text: String = String::from_utf8_lossy(words).chars().take(LONGEST_LINE).collect();
            lines.push(format!("{what} {from} to {to} at {now}: {text}"));
        }
    }

    /// The number.
    pub fn digest(&self) -> String {
        self.noted().sum.finalize().to_hex().chars().take(16).collect()
    }

    /// What was noted, if it is kept.
    pub fn lines(&self) -> Vec<String> {
        self.noted().lines.clone().unwrap_or_default()
    }
}
