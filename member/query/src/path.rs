//! Names of attributes: `age`, `at.city`, `of[0].n`, `of[any].n`, `this`, `__key`, `__key.id`.
//!
//! Law: a name that could be taken for another is refused. Must not know: values.

use std::fmt;

use crate::Refused;

/// Steps of one path.
const STEPS_MOST: usize = 64;
/// The whole value.
const THIS: &str = "this";
/// The key.
const KEY: &str = "__key";

/// A way into a key or a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path {
    text: String,
    /// Into the key; else into the value.
    pub of_key: bool,
    /// One after another; none: the whole.
    pub steps: Vec<Step>,
}

/// One step of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// To an attribute.
    Name(String),
    /// To an item of a list.
    Item(usize),
    /// To all items of a list.
    Any,
}

impl Path {
    /// The whole value.
    pub fn this() -> Self {
        Self { text: THIS.into(), of_key: false, steps: Vec::new() }
    }

    /// As a client writes it.
    pub fn read(text: &str) -> Result<Self, Refused> {
        let refuse = |why| Refused::Path { path: text.to_owned(), why };
        let mut steps = Vec::new();
        let mut of_key = false;
        for (place, part) in text.split('.').enumerate() {
            let name_ends = part.find('[').unwrap_or(part.len());
            let (name, subscripts) = part.split_at(name_ends);
            match (place, name) {
                (0, THIS) => {}
                (0, KEY) => of_key = true,
                (_, "") => return Err(refuse("a name in it is empty")),
                (_, name) => steps.push(Step::Name(name.to_owned())),
            }
            items(subscripts, &mut steps).ok_or_else(|| refuse("in brackets stands a number or 'any'"))?;
            if steps.len() > STEPS_MOST {
                return Err(refuse("it has more steps than are gone"));
            }
        }
        Ok(Self { text: text.to_owned(), of_key, steps })
    }
}

/// `[0][any]`.
fn items(mut subscripts: &str, steps: &mut Vec<Step>) -> Option<()> {
    while !subscripts.is_empty() {
        let (inside, rest) = subscripts.strip_prefix('[')?.split_once(']')?;
        steps.push(if inside == "any" { Step::Any } else { Step::Item(inside.parse().ok()?) });
        subscripts = rest;
    }
    Some(())
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
