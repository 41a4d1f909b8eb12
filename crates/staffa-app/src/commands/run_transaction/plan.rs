//! From operations as they are written to those that the engine carries out, one each.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use staffa_codec::decode::{
    MergePatch, Step, Verb, decode_object, find_member, read_text, resolve_references,
};
use staffa_codec::encode::{JsonRecordEncoder, Shape};
use staffa_codec::question::{self, QuestionProblem};

use staffa_domain::batch::bytes_of;
use staffa_domain::query::{Comparison, Test};
use staffa_domain::{
    DecodedBatch, Field, Filter, Operation, RecordId, SchemaSnapshot, StampedBatch, StorageError,
    Timestamp, ValidBatch, Value, validate,
};

use super::StepResult;
use super::view::{View, key_of};
use crate::commands::Commands;
use crate::commands::read_modify_write::refuse_append_only;
use crate::context::{Context, Stage};
use crate::error::Error;
use crate::memory::Share;
use crate::queries::RecordView;

/// One operation with its schema, and its data where that points at nothing.
#[derive(Debug)]
pub(super) struct Prepared<'b> {
    pub(super) index: usize,
    pub(super) step: Step<'b>,
    pub(super) schema: Arc<SchemaSnapshot>,
    /// Whole data that is read already.
    pub(super) decoded: Option<DecodedBatch>,
    pub(super) id: Option<RecordId>,
}

impl<'b> Prepared<'b> {
    pub(super) fn new(
        index: usize,
        step: Step<'b>,
        schema: Arc<SchemaSnapshot>,
    ) -> Result<Self, Error> {
        let mut prepared = Self {
            index,
            id: step.id.and_then(read_text).and_then(|id| id.parse().ok()),
            decoded: None,
            step,
            schema,
        };
        if prepared.step.verb != Verb::Assert && prepared.step.verb != Verb::Create {
            refuse_append_only(&prepared.schema).map_err(|error| prepared.fails("", error))?;
        }
        let is_whole = matches!(
            prepared.step.verb,
            Verb::Create | Verb::Replace | Verb::Upsert
        );
        if let (true, Some(text)) = (is_whole, prepared.step.data) {
            let mut points = false;
            let text = resolve_references(text, &mut |_| {
                points = true;
                Ok(b"null".to_vec())
            });
            if let (false, Ok(text)) = (points, text) {
                prepared.decoded = Some(prepared.decode(&text)?);
            }
        }
        Ok(prepared)
    }

    fn decode(&self, text: &[u8]) -> Result<DecodedBatch, Error> {
        let decoded = decode_object(Arc::clone(&self.schema), text);
        let decoded = decoded.map_err(|error| self.fails("/data", error.into()))?;
        Ok(self.placed(decoded))
    }

    /// Errors of a record are told by the place of its operation.
    fn placed(&self, mut decoded: DecodedBatch) -> DecodedBatch {
        decoded.origin.first = self.index as u64;
        for error in &mut decoded.errors {
            error.index = self.index as u64;
        }
        decoded
    }

    fn fails(&self, member: &'static str, error: Error) -> Error {
        error.in_operation(self.index, member)
    }

    fn pointer(&self, member: &str) -> String {
        format!("/operations/{}/{member}", self.index)
    }

    fn invalid(&self, member: &str, message: impl Into<String>) -> Error {
        QuestionProblem::invalid(self.pointer(member), message).into()
    }
}

/// How the record of an operation was chosen, which says what its failure means.
#[derive(Debug)]
pub(super) enum Source {
    /// As the request says.
    Given,
    /// By reading it: its version is known.
    Found,
    /// By not finding one with the same values of these properties.
    NotFound(Vec<String>),
}

/// What the engine is to do: one operation, one source and one result for each step.
#[derive(Debug)]
pub(super) struct Plan<'p> {
    pub(super) operations: Vec<Operation>,
    pub(super) sources: Vec<Source>,
    pub(super) results: Vec<StepResult>,
    /// What these take.
    pub(super) share: Share<'p>,
}

/// Plans one transaction.
pub(super) struct Planner<'p> {
    commands: &'p Commands,
    ctx: &'p Context,
    now: Timestamp,
    view: View<'p>,
    /// The results that have a name, as JSON.
    named: HashMap<String, Vec<u8>>,
    /// How many bytes references may still stand for.
    bytes_left: usize,
    plan: Plan<'p>,
}

impl<'p> Planner<'p> {
    pub(super) fn new(commands: &'p Commands, ctx: &'p Context) -> Self {
        Self {
            commands,
            ctx,
            now: commands.clock.now(),
            view: View::new(commands, ctx),
            named: HashMap::new(),
            bytes_left: commands.limits.body_bytes_max,
            plan: Plan {
                operations: Vec::new(),
                sources: Vec::new(),
                results: Vec::new(),
                share: ctx.share(),
            },
        }
    }

    pub(super) async fn plan(mut self, steps: &[Prepared<'_>]) -> Result<Plan<'p>, Error> {
        self.view.prefetch(steps).await?;
        for step in steps {
            match step.step.verb {
                Verb::Create => self.create(step)?,
                Verb::Update => self.update(step).await?,
                Verb::Replace => self.replace(step).await?,
                Verb::Upsert => self.upsert(step).await?,
                Verb::Delete => self.delete(step)?,
                Verb::Assert => self.assert(step)?,
            }
            self.name_result(step)?;
            tokio::task::coop::consume_budget().await;
        }
        Ok(self.plan)
    }

    fn create(&mut self, step: &Prepared<'_>) -> Result<(), Error> {
        let valid = self.data(step)?;
        let ids = self.commands.ids.next_ids(1);
        let batch = valid.stamp(&ids, self.now);
        self.add(step, batch, Source::Given)
    }

    async fn update(&mut self, step: &Prepared<'_>) -> Result<(), Error> {
        let (current, version) = self.current(step).await?;
        let text = self.text(step, "data", step.step.data.unwrap_or_default())?;
        let schema = Arc::clone(&step.schema);
        let patch = self
            .ctx
            .time(Stage::Decode, || MergePatch::read(schema, &text));
        let patch = patch.map_err(|error| step.fails("/data", error.into()))?;
        let valid = self.checked(step, step.placed(patch.apply(&current.records)))?;
        let next = valid.stamp_next_of(&current.records, self.now);
        self.change(step, next, version)
    }

    async fn replace(&mut self, step: &Prepared<'_>) -> Result<(), Error> {
        let (current, version) = self.current(step).await?;
        let next = self.data(step)?.stamp_next_of(&current.records, self.now);
        self.change(step, next, version)
    }

    /// By id where that is given, else by the primary key.
    async fn upsert(&mut self, step: &Prepared<'_>) -> Result<(), Error> {
        let given = match step.step.id {
            Some(_) => Some(self.id(step)?),
            None => None,
        };
        let valid = self.data(step)?;
        let (id, missing) = match given {
            Some(id) => (Some(id), vec!["id".to_owned()]),
            None => {
                let key = key_of(&step.schema, valid.properties(), 0);
                let key = key.ok_or_else(|| {
                    let message = "upsert needs an id, or a schema with a primary key";
                    step.invalid("id", message)
                })?;
                let names = step.schema.schema().primary_key.iter();
                let names = names.map(|name| name.as_str().to_owned()).collect();
                (self.view.find(&step.schema, key).await?, names)
            }
        };
        let current = match id {
            Some(id) => self.view.get(&step.schema, id).await?,
            None => None,
        };
        if let Some(current) = current {
            let version = self.check_version(step, &current)?;
            let next = valid.stamp_next_of(&current.records, self.now);
            return self.change(step, next, version);
        }
        if step.step.if_match.is_some() {
            return Err(step.fails("/if_match", Error::RecordNotFound));
        }
        let id = given.unwrap_or_else(|| self.commands.ids.next_ids(1)[0]);
        let batch = valid.stamp(&[id], self.now);
        self.add(step, batch, Source::NotFound(missing))
    }

    fn delete(&mut self, step: &Prepared<'_>) -> Result<(), Error> {
        let id = self.id(step)?;
        let expected = self.if_match(step)?;
        self.view.put(&step.schema, id, None);
        self.plan.operations.push(Operation::Delete {
            schema: Arc::clone(&step.schema),
            id,
            expected,
        });
        self.done(step, Source::Given, (Some(id), None));
        Ok(())
    }

    fn assert(&mut self, step: &Prepared<'_>) -> Result<(), Error> {
        let mut parts = Vec::new();
        let equals = |field, value| Filter::condition(field, Test::Compare(Comparison::Eq, value));
        let mut id = None;
        if step.step.id.is_some() {
            let found = self.id(step)?;
            id = Some(found);
            parts.push(equals(Field::Id, Value::Uuid(found)));
        }
        if let Some(version) = self.if_match(step)? {
            parts.push(equals(Field::Version, Value::Integer(version)));
        }
        if let Some(text) = step.step.filters {
            let text = self.text(step, "filters", text)?;
            let text = String::from_utf8_lossy(&text);
            let limits = question::Limits {
                depth_max: self.commands.limits.filter_depth_max,
                conditions_max: self.commands.limits.filter_conditions_max,
            };
            let place = step.pointer("filters");
            parts.extend(question::parse_filters_text(
                &step.schema,
                &text,
                &place,
                &limits,
            )?);
        } else if parts.is_empty() {
            return Err(step.invalid("filters", "assert needs filters or an id"));
        }
        self.plan.operations.push(Operation::Assert {
            schema: Arc::clone(&step.schema),
            filter: (!parts.is_empty()).then_some(Filter::And(parts)),
            exists: step.step.exists,
        });
        self.done(step, Source::Given, (id, None));
        Ok(())
    }

    /// The record that the step names, and its version, which is the one it insists on.
    async fn current(&mut self, step: &Prepared<'_>) -> Result<(RecordView, i64), Error> {
        let id = self.id(step)?;
        let current = self.view.get(&step.schema, id).await?;
        let current = current.ok_or_else(|| step.fails("/id", Error::RecordNotFound))?;
        let version = self.check_version(step, &current)?;
        Ok((current, version))
    }

    fn check_version(&mut self, step: &Prepared<'_>, current: &RecordView) -> Result<i64, Error> {
        let version = current.version().unwrap_or_default();
        match self.if_match(step)? {
            Some(wanted) if wanted != version => {
                let error = Error::VersionMismatch { current: version };
                Err(step.fails("/if_match", error))
            }
            _ => Ok(version),
        }
    }

    fn id(&mut self, step: &Prepared<'_>) -> Result<RecordId, Error> {
        if let Some(id) = step.id {
            return Ok(id);
        }
        let text = self.text(step, "id", step.step.id.unwrap_or_default())?;
        let id = read_text(&text).and_then(|id| id.parse().ok());
        id.ok_or_else(|| step.invalid("id", "the id of a record is a UUID"))
    }

    /// A version as a number, or as an entity tag.
    fn if_match(&mut self, step: &Prepared<'_>) -> Result<Option<i64>, Error> {
        let Some(text) = step.step.if_match else {
            return Ok(None);
        };
        let text = self.text(step, "if_match", text)?;
        let tag = read_text(&text);
        let digits = tag.as_deref().map_or(&*text, |tag| {
            let bare = tag.strip_prefix('"').and_then(|tag| tag.strip_suffix('"'));
            bare.unwrap_or(tag).as_bytes()
        });
        let version = std::str::from_utf8(digits).ok();
        let version = version.and_then(|digits| digits.parse().ok());
        let problem = || step.invalid("if_match", "expected a version, such as 3");
        version.map(Some).ok_or_else(problem)
    }

    /// The step's whole data.
    fn data(&mut self, step: &Prepared<'_>) -> Result<ValidBatch, Error> {
        let decoded = match &step.decoded {
            Some(decoded) => decoded.clone(),
            None => {
                let text = self.text(step, "data", step.step.data.unwrap_or_default())?;
                self.ctx.time(Stage::Decode, || step.decode(&text))?
            }
        };
        self.checked(step, decoded)
    }

    fn checked(&self, step: &Prepared<'_>, decoded: DecodedBatch) -> Result<ValidBatch, Error> {
        let (valid, errors) = self.ctx.time(Stage::Validate, || validate(decoded));
        if errors.is_empty() {
            return Ok(valid);
        }
        Err(step.fails("/data", Error::Invalid { errors }))
    }

    /// The text of a member with what its references stand for.
    fn text<'t>(
        &mut self,
        step: &Prepared<'_>,
        member: &str,
        text: &'t [u8],
    ) -> Result<Cow<'t, [u8]>, Error> {
        let (named, left) = (&self.named, &mut self.bytes_left);
        let mut too_large = false;
        let resolved = resolve_references(text, &mut |path| {
            let found = find_result(named, path)?;
            let Some(rest) = left.checked_sub(found.len()) else {
                too_large = true;
                return Err("the references stand for too much".to_owned());
            };
            *left = rest;
            Ok(found.to_vec())
        });
        resolved.map_err(|problem| {
            if too_large {
                let most = self.commands.limits.body_bytes_max;
                let message = format!("the references stand for more than {most} bytes");
                return Error::TooLarge(message);
            }
            let pointer = format!("{}{}", step.pointer(member), problem.pointer);
            QuestionProblem::invalid(pointer, problem.message).into()
        })
    }

    fn add(
        &mut self,
        step: &Prepared<'_>,
        batch: StampedBatch,
        source: Source,
    ) -> Result<(), Error> {
        self.left(step, &batch, source)?;
        self.plan.operations.push(Operation::Create(batch));
        Ok(())
    }

    fn change(
        &mut self,
        step: &Prepared<'_>,
        batch: StampedBatch,
        expected: i64,
    ) -> Result<(), Error> {
        self.left(step, &batch, Source::Found)?;
        let replace = Operation::Replace { batch, expected };
        self.plan.operations.push(replace);
        Ok(())
    }

    /// Counts what a step makes, which stays until the answer has left.
    fn hold(&mut self, bytes: usize) -> Result<(), Error> {
        let most = self.commands.limits.body_bytes_max;
        let bytes = self.plan.share.bytes().saturating_add(bytes);
        if bytes > most {
            let message = format!(
                "the records that the operations leave take more than {most} bytes; change less \
                 at a time"
            );
            return Err(Error::TooLarge(message));
        }
        Ok(self.plan.share.set(bytes)?)
    }

    /// Notes the record that a step leaves.
    fn left(
        &mut self,
        step: &Prepared<'_>,
        batch: &StampedBatch,
        source: Source,
    ) -> Result<(), Error> {
        if step.decoded.is_none() {
            self.hold(bytes_of(batch.records().columns()))?;
        }
        let record = RecordView::new(&step.schema, batch.records().clone());
        let id = batch.id(0);
        self.view.put(&step.schema, id, Some(&record));
        self.done(step, source, (Some(id), Some(record)));
        Ok(())
    }

    fn done(
        &mut self,
        step: &Prepared<'_>,
        source: Source,
        (id, record): (Option<RecordId>, Option<RecordView>),
    ) {
        self.plan.sources.push(source);
        self.plan.results.push(StepResult {
            verb: step.step.verb,
            name: step.step.name.clone(),
            id,
            record,
        });
    }

    /// Makes the result of a step known by its name.
    fn name_result(&mut self, step: &Prepared<'_>) -> Result<(), Error> {
        let (Some(name), Some(result)) = (&step.step.name, self.plan.results.last()) else {
            return Ok(());
        };
        if name.is_empty() || name.contains('.') {
            return Err(step.invalid("as", "a name has at least one character, and no dot"));
        }
        let mut text = Vec::new();
        match (&result.record, result.id) {
            (Some(record), _) => JsonRecordEncoder::new(&step.schema, None, Shape::Record)
                .encode_row(&record.records, 0, &mut text)
                .map_err(|error| Error::Storage(StorageError::internal(error)))?,
            (None, Some(id)) => text.extend_from_slice(format!(r#"{{"id":"{id}"}}"#).as_bytes()),
            (None, None) => text.extend_from_slice(b"{}"),
        }
        self.hold(text.len())?;
        if self.named.insert(name.clone(), text).is_some() {
            let message = format!("an earlier operation is named {name} already");
            return Err(step.invalid("as", message));
        }
        Ok(())
    }
}

/// What a path such as `order.id` points at, as JSON.
fn find_result<'n>(named: &'n HashMap<String, Vec<u8>>, path: &str) -> Result<&'n [u8], String> {
    let shown: String = path.chars().take(64).collect();
    let Some((name, member)) = path.split_once('.') else {
        return Err(format!("{shown} is no reference; one is written name.id"));
    };
    let result = named.get(name);
    let result = result.ok_or_else(|| format!("no earlier operation is named {name:.64}"))?;
    find_member(result, member).ok_or_else(|| format!("there is no {shown}"))
}
