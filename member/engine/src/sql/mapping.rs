//! Mappings: a name for something outside a query, with typed columns and options.
//!
//! Law: an option that is not understood is refused, never ignored. Must not know how a mapping is read.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use datafusion::sql::sqlparser::ast;
use serde::{Deserialize, Serialize};

use super::SqlError;

/// What a mapping stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum MappingKind {
    /// Replayable CSV file that every member can read.
    File,
    /// Numbered rows per key.
    Generator,
    /// A map of the cluster.
    Map,
}

/// A column with its SQL type as written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    /// Name, lower case unless it was quoted.
    pub name: String,
    /// SQL type, e.g. `BIGINT`, `DECIMAL(10,2)`.
    pub sql_type: String,
}

/// A mapping as it was created.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mapping {
    /// Name in queries.
    pub name: String,
    /// What it stands for.
    pub kind: MappingKind,
    /// Columns in order; none written means the default of the kind.
    pub columns: Vec<Column>,
    /// Options, names in lower case.
    pub options: BTreeMap<String, String>,
}

const FILE_OPTIONS: &[&str] = &["path", "format", "rate", "header", "delimiter", "null", "bad-values", "ranges"];
const GENERATOR_OPTIONS: &[&str] = &["rate", "keys", "count", "ranges", "payload"];
const MAP_OPTIONS: &[&str] = &["key", "map", KEY_FORMAT, VALUE_FORMAT, "valuecompacttypename", "keycompacttypename"];
const KEY_FORMAT: &str = "keyformat";
const VALUE_FORMAT: &str = "valueformat";
/// Of values that are not looked into.
const FORMATS_REFUSED: &[&str] = &["java", "portable", "avro"];

impl Mapping {
    /// Checks option names and columns; fills in the default columns of a generator.
    pub(crate) fn checked(mut self) -> Result<Self, SqlError> {
        let allowed = match self.kind {
            MappingKind::File => FILE_OPTIONS,
            MappingKind::Generator => GENERATOR_OPTIONS,
            MappingKind::Map => MAP_OPTIONS,
        };
        if let Some(name) = self.options.keys().find(|name| !allowed.contains(&name.as_str())) {
            return Err(SqlError::Unknown {
                kind: "option",
                name: name.clone(),
                way_out: format!("mapping '{}' of type {:?} takes {}", self.name, self.kind, allowed.join(", ")),
            });
        }
        if self.kind == MappingKind::Generator && self.columns.is_empty() {
            let bigint = |name: &str| Column { name: name.into(), sql_type: "BIGINT".into() };
            self.columns = vec![bigint("key"), bigint("number")];
        }
        if self.columns.is_empty() {
            return Err(SqlError::unsupported(
                format!("mapping '{}' without columns", self.name),
                "columns are not guessed from data",
                "write them: CREATE MAPPING name (a BIGINT, b VARCHAR) TYPE …",
            ));
        }
        for option in [KEY_FORMAT, VALUE_FORMAT] {
            if let Some(format) = self.options.get(option)
                && FORMATS_REFUSED.contains(&format.to_ascii_lowercase().as_str())
            {
                return Err(SqlError::option(&self.owner(), option, format, "such values are not looked into here"));
            }
        }
        self.schema()?;
        Ok(self)
    }

    /// Of a map that clients write, each value in its own form.
    pub fn is_of_clients(&self) -> bool {
        self.options.contains_key(KEY_FORMAT) || self.options.contains_key(VALUE_FORMAT)
    }

    /// Arrow schema of the columns; every column may be NULL.
    pub fn schema(&self) -> Result<SchemaRef, SqlError> {
        let mut fields = Vec::with_capacity(self.columns.len());
        for column in &self.columns {
            if fields.iter().any(|field: &Field| field.name() == &column.name) {
                return Err(SqlError::unsupported(
                    format!("column '{}' twice in mapping '{}'", column.name, self.name),
                    "names must be unique",
                    "rename one",
                ));
            }
            fields.push(Field::new(&column.name, arrow_type(&column.name, &column.sql_type)?, true));
        }
        Ok(Arc::new(Schema::new(fields)))
    }

    /// A number option.
    pub(crate) fn number<N: std::str::FromStr>(&self, option: &str) -> Result<Option<N>, SqlError> {
        let Some(value) = self.options.get(option) else { return Ok(None) };
        match value.replace('_', "").parse() {
            Ok(number) => Ok(Some(number)),
            Err(_) => Err(SqlError::option(&self.owner(), option, value, "a whole number is expected")),
        }
    }

    /// A rate in rows per second of the whole job; none means as fast as credit allows.
    pub(crate) fn rate(&self) -> Result<Option<u64>, SqlError> {
        match self.number::<u64>("rate")? {
            Some(0) => {
                Err(SqlError::option(&self.owner(), "rate", "0", "leave it out for full speed, or suspend the job"))
            }
            other => Ok(other),
        }
    }

    pub(crate) fn owner(&self) -> String {
        format!("mapping '{}'", self.name)
    }
}

fn arrow_type(column: &str, sql: &str) -> Result<DataType, SqlError> {
    let dialect = datafusion::sql::sqlparser::dialect::GenericDialect {};
    let parsed = datafusion::sql::sqlparser::parser::Parser::new(&dialect)
        .try_with_sql(sql)
        .and_then(|mut parser| parser.parse_data_type())
        .map_err(|error| SqlError::Syntax { reason: error.to_string() })?;
    use ast::DataType as Sql;
    Ok(match parsed {
        Sql::TinyInt(_) => DataType::Int8,
        Sql::SmallInt(_) | Sql::Int2(_) => DataType::Int16,
        Sql::Int(_) | Sql::Integer(_) | Sql::Int4(_) => DataType::Int32,
        Sql::BigInt(_) | Sql::Int8(_) => DataType::Int64,
        Sql::Real | Sql::Float4 => DataType::Float32,
        Sql::Double(_) | Sql::DoublePrecision | Sql::Float(_) | Sql::Float8 => DataType::Float64,
        Sql::Varchar(_) | Sql::Text | Sql::String(_) | Sql::CharVarying(_) | Sql::CharacterVarying(_) => DataType::Utf8,
        Sql::Boolean | Sql::Bool => DataType::Boolean,
        Sql::Date => DataType::Date32,
        Sql::Timestamp(_, ast::TimezoneInfo::None | ast::TimezoneInfo::WithoutTimeZone) => {
            DataType::Timestamp(TimeUnit::Microsecond, None)
        }
        Sql::Decimal(ast::ExactNumberInfo::PrecisionAndScale(precision, scale))
        | Sql::Numeric(ast::ExactNumberInfo::PrecisionAndScale(precision, scale))
            if precision <= 38 =>
        {
            DataType::Decimal128(precision as u8, scale as i8)
        }
        _ => {
            return Err(SqlError::unsupported(
                format!("type {sql} of column '{column}'"),
                "the engine has no such column type",
                "use TINYINT, SMALLINT, INTEGER, BIGINT, REAL, DOUBLE, DECIMAL(p,s), VARCHAR, BOOLEAN, DATE or TIMESTAMP",
            ));
        }
    })
}
