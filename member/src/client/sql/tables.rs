//! A map that clients write as rows: of each entry its key, its value and attributes of the value.
//!
//! Law: a cell is what the entry has there, in the type of its column, or the statement is refused; nothing is cut to fit.
//! Must not know: statements.

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::SchemaRef;
use jet_protocol::data::type_id;
use jet_query::entry::Found;
use jet_query::path::Path;
use jet_query::{Entry, Item, Refused};

/// Seconds of a day.
const DAY: i64 = 86_400;

/// The columns of a map.
pub struct Columns {
    schema: SchemaRef,
    paths: Vec<Path>,
}

/// Rows that are read, column by column, in words.
pub type Rows = Vec<Vec<Option<String>>>;

impl Columns {
    /// Each is the name of what it shows.
    pub fn of(schema: SchemaRef) -> Result<Self, Refused> {
        let paths = schema.fields().iter().map(|field| Path::read(field.name())).collect::<Result<_, _>>()?;
        Ok(Self { schema, paths })
    }

    /// One entry more.
    pub fn add(&self, rows: &mut Rows, entry: &Entry<'_>) -> Result<usize, Refused> {
        let cells = self.paths.iter().map(|path| match entry.at(path)? {
            Found::One(item) => cell(item),
            Found::All(_) => Ok(None),
        });
        let cells: Vec<Option<String>> = cells.collect::<Result<_, _>>()?;
        rows.resize(self.paths.len(), Vec::new());
        let bytes = cells.iter().flatten().map(String::len).sum::<usize>() + cells.len() * size_of::<Option<String>>();
        rows.iter_mut().zip(cells).for_each(|(column, cell)| column.push(cell));
        Ok(bytes)
    }

    /// All of them.
    pub fn batch(&self, parts: Vec<Rows>) -> Result<RecordBatch, arrow::error::ArrowError> {
        let strict = CastOptions { safe: false, ..CastOptions::default() };
        let column = |place: usize| -> Result<ArrayRef, arrow::error::ArrowError> {
            let cells = parts.iter().filter_map(|rows| rows.get(place)).flatten();
            let texts: StringArray = cells.map(Option::as_deref).collect();
            cast_with_options(&texts, self.schema.field(place).data_type(), &strict)
        };
        let columns = (0..self.paths.len()).map(column).collect::<Result<_, _>>()?;
        RecordBatch::try_new(self.schema.clone(), columns)
    }
}

/// In words that its column's type reads.
fn cell(item: Item) -> Result<Option<String>, Refused> {
    Ok(Some(match item {
        Item::Null => return Ok(None),
        Item::Boolean(yes) => yes.to_string(),
        Item::Char(unit) => String::from_utf16_lossy(&[unit]),
        Item::Number(number) => number.text(),
        Item::Text(text) => text.to_string(),
        // A text that is JSON is the text; all else that is JSON is its words.
        Item::Json(text) => match serde_json::from_str(&text) {
            Ok(serde_json::Value::String(inner)) => inner,
            Ok(serde_json::Value::Null) => return Ok(None),
            _ => text.to_string(),
        },
        Item::Uuid(uuid) => uuid.to_string(),
        Item::Moment(moment) => {
            let (seconds, nanos) = moment.since();
            words(moment.type_id, seconds, nanos)
        }
        other @ (Item::List(_) | Item::Other(_)) => {
            return Err(Refused::NotOffered {
                what: format!("{} as a column", other.kind()),
                instead: "ask for its attributes",
            });
        }
    }))
}

fn words(type_id: i32, seconds: i64, nanos: i64) -> String {
    let of_day = seconds.rem_euclid(DAY);
    let time = format!("{:02}:{:02}:{:02}.{nanos:09}", of_day / 3_600, of_day / 60 % 60, of_day % 60);
    let date = || date_of(seconds.div_euclid(DAY));
    match type_id {
        type_id::LOCAL_TIME => time,
        type_id::LOCAL_DATE => date(),
        _ => format!("{}T{time}", date()),
    }
}

fn date_of(days: i64) -> String {
    let (year, month, day) = jet_query::calendar::date(days);
    format!("{year:04}-{month:02}-{day:02}")
}
