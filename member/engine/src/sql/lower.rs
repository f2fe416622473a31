//! From DataFusion's optimized logical plan to a [`Program`].
//!
//! The shape that is taken: scan, filters and projections, at most one GROUP BY, projections, a map.
//! Everything else is refused by name. Law: the sink's key is exactly the GROUP BY columns, so that two
//! groups never write the same entry; an expression that gives other values tomorrow is refused.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::catalog::TableProvider;
use datafusion::common::DFSchema;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::datasource::empty::EmptyTable;
use datafusion::execution::context::SessionState;
use datafusion::logical_expr::{Aggregate, Expr, ExprSchemable, LogicalPlan, TableScan, Volatility};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::aggregate::AggregateExprBuilder;
use datafusion::physical_expr::expressions::{Column, Literal, cast};
use datafusion::prelude::{SessionConfig, SessionContext};

use super::{Mapping, SqlError};
use crate::ENGINE_VERSION;
use crate::operators::aggregate::{ALLOWED, AggregateSpec, Argument, Call};
use crate::operators::program::{Keyed, MapSink, Program, SourceSpec};
use crate::operators::step::Step;

/// A program with what members compare.
pub struct Lowered {
    pub program: Program,
    pub fingerprint: String,
    pub state_fingerprint: String,
}

/// The one mapping that a query reads.
pub fn source_of(query: &str, mappings: &BTreeMap<String, Mapping>) -> Result<String, SqlError> {
    let names = super::bounded_tables(query)?;
    match names.as_slice() {
        [name] if mappings.contains_key(name) => Ok(name.clone()),
        [name] => Err(SqlError::Unknown { kind: "mapping", name: name.clone(), way_out: "create it: CREATE MAPPING … TYPE File or Generator".into() }),
        [] => Err(SqlError::unsupported("a job without FROM", "it has no source", "read a mapping")),
        _ => Err(SqlError::unsupported(format!("reading {} in one job", names.join(", ")), "joins and unions are not built yet", "read one mapping")),
    }
}

/// Plans a query and makes a program of it.
pub fn lower(
    query: &str,
    source: &Mapping,
    spec: &SourceSpec,
    sink: &Mapping,
    sink_columns: &[String],
) -> Result<Lowered, SqlError> {
    let context = SessionContext::new_with_config(SessionConfig::new().with_target_partitions(1));
    let table: Arc<dyn TableProvider> = Arc::new(EmptyTable::new(source.schema()?));
    context.register_table(source.name.as_str(), table).map_err(|error| SqlError::plan(query, error))?;
    let state = context.state();
    let written = futures::executor::block_on(state.create_logical_plan(query)).map_err(|error| SqlError::plan(query, error))?;
    refuse_unstable(&written)?;
    let plan = state.optimize(&written).map_err(|error| SqlError::plan(query, error))?;
    let chain = Chain::of(&plan)?;
    let sink = sink_of(sink, sink_columns, plan.schema())?;
    let program = Lowering { state: &state, query }.program(&plan, &chain, spec, source, &sink)?;
    let seen = format!("{ENGINE_VERSION}\n{}\n{:?}\n{:?}\n{:?}", plan.display_indent_schema(), program.source, program.exchange, program.sink);
    let held = match &program.keyed {
        Keyed::Aggregate(aggregate) => {
            let calls: Vec<_> = aggregate.calls.iter().map(|call| call.function.fun().name().to_string()).collect();
            let types: Vec<_> = aggregate.state.fields().iter().map(|field| field.data_type().to_string()).collect();
            format!("aggregate {calls:?} {types:?}")
        }
        Keyed::Upsert => "upsert".into(),
    };
    let digest = |text: &str| blake3::hash(text.as_bytes()).to_hex()[..32].to_string();
    Ok(Lowered { program, fingerprint: digest(&seen), state_fingerprint: digest(&held) })
}

fn refuse_unstable(plan: &LogicalPlan) -> Result<(), SqlError> {
    let mut refusal = None;
    let look = |expr: &Expr| {
        let found = match expr {
            Expr::ScalarFunction(call) if call.func.signature().volatility != Volatility::Immutable => Some(SqlError::unsupported(
                format!("{}()", call.func.name()),
                "it gives other values when the job is replayed",
                "use columns of the source",
            )),
            Expr::AggregateFunction(call) => refuse_aggregate(call),
            Expr::ScalarSubquery(_) | Expr::InSubquery(_) | Expr::Exists(_) => {
                Some(SqlError::unsupported("a subquery in an expression", "it has no meaning on a stream", "read one mapping"))
            }
            _ => None,
        };
        refusal = refusal.take().or(found);
        Ok(TreeNodeRecursion::Continue)
    };
    let mut look = look;
    plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expr| expr.apply(&mut look))?;
        Ok(TreeNodeRecursion::Continue)
    })
    .map_err(|error| SqlError::plan("the query", error))?;
    refusal.map_or(Ok(()), Err)
}

fn refuse_aggregate(call: &datafusion::logical_expr::expr::AggregateFunction) -> Option<SqlError> {
    let name = call.func.name();
    if !ALLOWED.contains(&name) {
        return Some(SqlError::unsupported(
            format!("aggregate {name}"),
            "its state is not proved to survive a snapshot",
            format!("use {}", ALLOWED.join(", ")),
        ));
    }
    let params = &call.params;
    if params.distinct || params.filter.is_some() || !params.order_by.is_empty() {
        return Some(SqlError::unsupported(
            format!("{name} with DISTINCT, FILTER or ORDER BY"),
            "its state is not proved to survive a snapshot",
            "use WHERE, or CASE WHEN … END as the argument",
        ));
    }
    None
}

/// The plan as a chain of nodes, from the result to the scan.
struct Chain<'a> {
    after: Vec<&'a LogicalPlan>,
    aggregate: Option<&'a Aggregate>,
    before: Vec<&'a LogicalPlan>,
    scan: &'a TableScan,
}

impl<'a> Chain<'a> {
    fn of(plan: &'a LogicalPlan) -> Result<Self, SqlError> {
        let (mut above, mut after, mut aggregate) = (Vec::new(), Vec::new(), None);
        let mut node = plan;
        loop {
            match node {
                LogicalPlan::Projection(projection) => {
                    above.push(node);
                    node = &projection.input;
                }
                LogicalPlan::Filter(filter) => {
                    above.push(node);
                    node = &filter.input;
                }
                LogicalPlan::SubqueryAlias(alias) => node = &alias.input,
                LogicalPlan::Aggregate(found) if aggregate.is_none() => {
                    if above.iter().any(|node| matches!(node, LogicalPlan::Filter(_))) {
                        return Err(SqlError::unsupported("HAVING", "an entry that was written could not be taken back", "filter when you read the map"));
                    }
                    aggregate = Some(found);
                    after = std::mem::take(&mut above);
                    node = &found.input;
                }
                LogicalPlan::TableScan(scan) if scan.filters.is_empty() && scan.fetch.is_none() => {
                    return Ok(Chain { after, aggregate, before: above, scan });
                }
                other => return Err(refuse_node(other)),
            }
        }
    }
}

fn refuse_node(node: &LogicalPlan) -> SqlError {
    let (thing, way_out) = match node {
        LogicalPlan::Sort(_) => ("ORDER BY", "sort when you read the map"),
        LogicalPlan::Limit(_) => ("LIMIT", "limit when you read the map"),
        LogicalPlan::Join(_) => ("JOIN", "read one mapping"),
        LogicalPlan::Union(_) => ("UNION", "make two jobs"),
        LogicalPlan::Window(_) => ("OVER (…)", "use GROUP BY"),
        LogicalPlan::Distinct(_) => ("DISTINCT", "use GROUP BY"),
        LogicalPlan::Aggregate(_) => ("GROUP BY over GROUP BY", "use one GROUP BY"),
        LogicalPlan::EmptyRelation(_) => ("a query that can give no rows", "look at the WHERE"),
        other => return SqlError::unsupported(other.display().to_string(), "jobs cannot run it", "use SELECT … FROM … WHERE … GROUP BY …"),
    };
    SqlError::unsupported(thing, "it has no bounded meaning on a stream here", way_out)
}

/// The sink with, for each of its columns, the column of the query that goes into it.
struct Target {
    sink: MapSink,
    from: Vec<usize>,
}

/// A mapping of TYPE Map as entries are written and read by it.
pub fn map_of(mapping: &Mapping) -> Result<MapSink, SqlError> {
    if mapping.kind != super::MappingKind::Map {
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
        way_out: format!("{} has {}", mapping.owner(), mapping.columns.iter().map(|c| c.name.as_str()).collect::<Vec<_>>().join(", ")),
    })
}

fn sink_of(mapping: &Mapping, named: &[String], query: &DFSchema) -> Result<Target, SqlError> {
    let sink = map_of(mapping)?;
    let schema = &sink.schema;
    let order = if named.is_empty() { (0..schema.fields().len()).collect() } else { named.iter().map(|name| place(mapping, name)).collect::<Result<Vec<_>, _>>()? };
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

struct Lowering<'a> {
    state: &'a SessionState,
    query: &'a str,
}

impl Lowering<'_> {
    fn program(&self, plan: &LogicalPlan, chain: &Chain, spec: &SourceSpec, source: &Mapping, target: &Target) -> Result<Program, SqlError> {
        let (source_spec, source_schema, mut before) = self.scan(chain.scan, spec, source)?;
        before.extend(self.steps(&chain.before)?);
        let top = Arc::new(plan.schema().as_arrow().clone());
        let to_sink = self.to_sink(&top, target)?;
        let Some(aggregate) = chain.aggregate else {
            before.push(to_sink);
            return Ok(Program {
                source: source_spec,
                source_schema,
                before,
                exchange: target.sink.schema.clone(),
                route_by: target.sink.key.clone(),
                keyed: Keyed::Upsert,
                after: Vec::new(),
                sink: target.sink.clone(),
            });
        };
        let route_by = self.groups_of_key(chain, aggregate, target)?;
        let (keyed, exchange, arguments) = self.aggregate(aggregate)?;
        before.push(Step::Project { columns: arguments, schema: exchange.clone() });
        let mut after = self.steps(&chain.after)?;
        after.push(to_sink);
        let keyed = Keyed::Aggregate(Arc::new(keyed));
        Ok(Program { source: source_spec, source_schema, before, exchange, route_by, keyed, after, sink: target.sink.clone() })
    }

    fn physical(&self, expr: &Expr, schema: &DFSchema) -> Result<Arc<dyn PhysicalExpr>, SqlError> {
        self.state.create_physical_expr(expr.clone(), schema).map_err(|error| SqlError::plan(format!("{expr}"), error))
    }

    /// A file reads only the columns that are asked for; other sources drop them after.
    fn scan(&self, scan: &TableScan, spec: &SourceSpec, source: &Mapping) -> Result<(SourceSpec, SchemaRef, Vec<Step>), SqlError> {
        let full = source.schema()?;
        let Some(projection) = &scan.projection else { return Ok((spec.clone(), full, Vec::new())) };
        let narrow = Arc::new(full.project(projection).map_err(|error| SqlError::plan(self.query, error))?);
        match spec {
            SourceSpec::File(file) => {
                let mut file = file.clone();
                file.fields = projection.iter().map(|index| file.fields[*index]).collect();
                Ok((SourceSpec::File(file), narrow, Vec::new()))
            }
            SourceSpec::Generator(_) => {
                let columns = projection.iter().map(|index| column(full.field(*index).name(), *index)).collect();
                Ok((spec.clone(), full, vec![Step::Project { columns, schema: narrow }]))
            }
        }
    }

    /// Nodes from the result downwards, as steps in order of execution.
    fn steps(&self, nodes: &[&LogicalPlan]) -> Result<Vec<Step>, SqlError> {
        let mut steps = Vec::new();
        for node in nodes.iter().rev() {
            match node {
                LogicalPlan::Filter(filter) => steps.push(Step::Filter(self.physical(&filter.predicate, filter.input.schema())?)),
                LogicalPlan::Projection(projection) => {
                    let input = projection.input.schema();
                    let columns = projection.expr.iter().map(|expr| self.physical(expr, input)).collect::<Result<_, _>>()?;
                    steps.push(Step::Project { columns, schema: nullable(projection.schema.as_arrow()) });
                }
                other => return Err(refuse_node(other)),
            }
        }
        Ok(steps)
    }

    fn to_sink(&self, top: &SchemaRef, target: &Target) -> Result<Step, SqlError> {
        let mut columns = Vec::new();
        for (field, from) in target.sink.schema.fields().iter().zip(&target.from) {
            let plain = column(top.field(*from).name(), *from);
            let fitting = cast(plain, top, field.data_type().clone()).map_err(|error| {
                SqlError::plan(format!("column '{}' of map '{}'", field.name(), target.sink.map), error)
            })?;
            columns.push(fitting);
        }
        Ok(Step::Project { columns, schema: target.sink.schema.clone() })
    }

    /// For each key column of the sink the group that it is.
    fn groups_of_key(&self, chain: &Chain, aggregate: &Aggregate, target: &Target) -> Result<Vec<usize>, SqlError> {
        let groups = aggregate.group_expr.len();
        if groups == 0 {
            return Err(SqlError::unsupported("an aggregate without GROUP BY", "an entry of a map needs a key", "group by a column, and make it the key of the map"));
        }
        if aggregate.group_expr.iter().any(|expr| matches!(expr, Expr::GroupingSet(_))) {
            return Err(SqlError::unsupported("GROUPING SETS, ROLLUP, CUBE", "they are not built", "make one job per grouping"));
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
                return Err(refused(field.name(), &format!("the query gives {found}, the map wants {}", field.data_type())));
            }
            route_by.push(group);
        }
        if let Some(missing) = (0..groups).find(|group| !route_by.contains(group)) {
            let name = aggregate.group_expr[missing].schema_name().to_string();
            return Err(refused(&name, "it is a GROUP BY column and not in the key, so groups would overwrite each other"));
        }
        Ok(route_by)
    }

    fn aggregate(&self, node: &Aggregate) -> Result<(AggregateSpec, SchemaRef, Vec<Arc<dyn PhysicalExpr>>), SqlError> {
        let input = node.input.schema();
        let failed = |error| SqlError::plan(self.query, error);
        let (mut fields, mut columns) = (Vec::new(), Vec::new());
        for (at, expr) in node.group_expr.iter().enumerate() {
            fields.push(Field::new(format!("g{at}"), expr.get_type(input).map_err(failed)?, true));
            columns.push(self.physical(expr, input)?);
        }
        let groups: SchemaRef = Arc::new(Schema::new(fields.clone()));
        let mut shapes = Vec::new();
        for expr in &node.aggr_expr {
            let Expr::AggregateFunction(call) = expr.clone().unalias() else {
                return Err(SqlError::unsupported(expr.to_string(), "it is not an aggregate", "use count, sum, min, max, avg"));
            };
            let mut arguments = Vec::new();
            for argument in &call.params.args {
                if let Expr::Literal(value, _) = argument {
                    arguments.push(Argument::Literal(value.clone()));
                    continue;
                }
                arguments.push(Argument::Column(fields.len()));
                fields.push(Field::new(format!("a{}", fields.len()), argument.get_type(input).map_err(failed)?, true));
                columns.push(self.physical(argument, input)?);
            }
            shapes.push((call.func, arguments));
        }
        let exchange: SchemaRef = Arc::new(Schema::new(fields));
        let mut state: Vec<Field> = groups.fields().iter().map(|field| field.as_ref().clone()).collect();
        let mut result = state.clone();
        let mut calls = Vec::new();
        for (at, (function, arguments)) in shapes.into_iter().enumerate() {
            let physical = arguments.iter().map(|argument| argument_expr(argument, &exchange)).collect();
            let function = AggregateExprBuilder::new(function, physical).schema(exchange.clone()).alias(format!("r{at}")).build().map_err(failed)?;
            if !function.groups_accumulator_supported() {
                return Err(SqlError::unsupported(format!("{} of this type", function.fun().name()), "it has no grouped form", "cast the argument to BIGINT, DOUBLE or VARCHAR"));
            }
            let columns = function.state_fields().map_err(failed)?;
            for (column, field) in columns.iter().enumerate() {
                state.push(Field::new(format!("s{at}_{column}"), field.data_type().clone(), true));
            }
            result.push(Field::new(format!("r{at}"), function.field().data_type().clone(), true));
            calls.push(Call { function: Arc::new(function), arguments, state_columns: columns.len() });
        }
        let spec = AggregateSpec { groups, calls, state: Arc::new(Schema::new(state)), result: Arc::new(Schema::new(result)) };
        Ok((spec, exchange, columns))
    }
}

fn argument_expr(argument: &Argument, exchange: &SchemaRef) -> Arc<dyn PhysicalExpr> {
    match argument {
        Argument::Column(index) => column(exchange.field(*index).name(), *index),
        Argument::Literal(value) => Arc::new(Literal::new(value.clone())),
    }
}

fn column(name: &str, index: usize) -> Arc<dyn PhysicalExpr> {
    Arc::new(Column::new(name, index))
}

fn nullable(schema: &Schema) -> SchemaRef {
    Arc::new(Schema::new(schema.fields().iter().map(|field| field.as_ref().clone().with_nullable(true)).collect::<Vec<_>>()))
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
    query == sink || (text(query) && text(sink)) || (whole(query) && whole(sink) && query.primitive_width() <= sink.primitive_width())
}
