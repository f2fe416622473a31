//! The map that a job writes, and whether its key is what the query groups by.
//!
//! Law: the key is exactly the GROUP BY columns, with the same text, so that two groups never write the
//! same entry and a shard of the job lies where the map's partition lies.

use arrow::datatypes::DataType;
use datafusion::common::DFSchema;
use datafusion::logical_expr::{Aggregate, Expr, LogicalPlan};

use super::shape::Chain;
use super::{Mapping, MappingKind, SqlError};
use crate::operators::program::MapSink;

/// The sink with, for each of its columns, the column of the query that goes into it.
pub struct Target {
    pub sink: MapSink,
    pub from: Vec<usize>,
}

/// A mapping of TYPE Map as entries are written and read by it.
pub fn map_of(mapping: &Mapping) -> Result<MapSink, SqlError> {
    if mapping.kind != MappingKind::Map {
        return Err(SqlError::unsupported(
            format!("{} as a map", mapping.owner()),
            "only a map is written exactly once, and only a map can be read twice",
            "create a mapping of TYPE Map",
        ));
    }
    let schema = mapping.schema()?;
    let key = match mapping.options.get("key") {
        Some(names) => names.split(',').map(|name| place(mapping, name.trim())).collect::<Result<Vec<_>, _>>()?,
        None => vec![place(mapping, "__key").unwrap_or(0)],
    };
    let map = mapping.options.get("map").unwrap_or(&mapping.name).clone();
    Ok(MapSink { map, schema, key })
}

fn place(mapping: &Mapping, name: &str) -> Result<usize, SqlError> {
    mapping.columns.iter().position(|column| column.name == name).ok_or_else(|| SqlError::Unknown {
        kind: "column",
        name: name.into(),
        way_out: format!(
            "{} has {}",
            mapping.owner(),
            mapping.columns.iter().map(|c| c.name.as_str()).collect::<Vec<_>>().join(", ")
        ),
    })
}

pub fn sink_of(mapping: &Mapping, named: &[String], query: &DFSchema) -> Result<Target, SqlError> {
    if mapping.is_of_clients() {
        return Err(SqlError::unsupported(
            format!("{} as what a job writes", mapping.owner()),
            "a job writes keys and values as JSON, whatever their format is called",
            "leave keyFormat and valueFormat out, or write another map",
        ));
    }
    let sink = map_of(mapping)?;
    let schema = &sink.schema;
    let order = if named.is_empty() {
        (0..schema.fields().len()).collect()
    } else {
        named.iter().map(|name| place(mapping, name)).collect::<Result<Vec<_>, _>>()?
    };
    let mut from = vec![usize::MAX; schema.fields().len()];
    for (column, target) in order.iter().enumerate() {
        from[*target] = column;
    }
    if order.len() != query.fields().len() || from.contains(&usize::MAX) {
        return Err(SqlError::unsupported(
            format!("{} columns into {}", query.fields().len(), mapping.owner()),
            format!("it has {} columns and each needs one value", schema.fields().len()),
            "select one expression per column",
        ));
    }
    Ok(Target { sink, from })
}

/// For each key column of the sink the group that it is.
pub fn groups_of_key(chain: &Chain, aggregate: &Aggregate, target: &Target) -> Result<Vec<usize>, SqlError> {
    let groups = aggregate.group_expr.len();
    if groups == 0 {
        return Err(SqlError::unsupported(
            "an aggregate without GROUP BY",
            "an entry of a map needs a key",
            "group by a column, and make it the key of the map",
        ));
    }
    if aggregate.group_expr.iter().any(|expr| matches!(expr, Expr::GroupingSet(_))) {
        return Err(SqlError::unsupported(
            "GROUPING SETS, ROLLUP, CUBE",
            "they are not built",
            "make one job per grouping",
        ));
    }
    let refused = |name: &str, reason: &str| {
        SqlError::unsupported(
            format!("key column '{name}' of map '{}'", target.sink.map),
            reason,
            "the key columns must be exactly the GROUP BY columns: set OPTIONS('key'='a,b') of the map's mapping",
        )
    };
    let mut route_by = Vec::new();
    for key in &target.sink.key {
        let field = target.sink.schema.field(*key);
        let group = trace(&chain.after, target.from[*key]).filter(|at| *at < groups);
        let group = group.ok_or_else(|| refused(field.name(), "it is not a GROUP BY column"))?;
        let found = aggregate.schema.field(group).data_type();
        if !same_key_text(found, field.data_type()) {
            return Err(refused(
                field.name(),
                &format!("the query gives {found}, the map wants {}", field.data_type()),
            ));
        }
        route_by.push(group);
    }
    if let Some(missing) = (0..groups).find(|group| !route_by.contains(group)) {
        let name = aggregate.group_expr[missing].schema_name().to_string();
        return Err(refused(&name, "it is a GROUP BY column and not in the key, so groups would overwrite each other"));
    }
    Ok(route_by)
}

/// Follows a column of the result down through projections that only rename.
fn trace(after: &[&LogicalPlan], mut index: usize) -> Option<usize> {
    for node in after {
        let LogicalPlan::Projection(projection) = node else { return None };
        let Expr::Column(found) = projection.expr.get(index)?.clone().unalias_nested().data else { return None };
        index = projection.input.schema().maybe_index_of_column(&found)?;
    }
    Some(index)
}

/// Whether a key of one type has the same text as the other, for every value that fits both.
fn same_key_text(query: &DataType, sink: &DataType) -> bool {
    let text = |t: &DataType| matches!(t, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View);
    let whole = DataType::is_integer;
    query == sink
        || (text(query) && text(sink))
        || (whole(query) && whole(sink) && query.primitive_width() <= sink.primitive_width())
}
