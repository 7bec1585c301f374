//! What the calls do that write points.

use std::collections::{BTreeMap, HashMap};

use ::qdrant_client::qdrant::points_selector::PointsSelectorOneOf;
use ::qdrant_client::qdrant::*;
use tonic::Status;

use super::work::{Answer, done};
use crate::faults::Fault;
use crate::filter;
use crate::path;
use crate::state::{Collection, Id, Point, State};

/// Points that are there and do not pass the condition keep their state; it is decided for all of them
/// before any is written.
pub(super) fn upsert(
    state: &State,
    request: UpsertPoints,
    fault: Option<Fault>,
) -> Answer<PointsOperationResponse> {
    let mut collection = state.collection(&request.collection_name)?;
    check_batch(state, request.points.len())?;
    State::check_condition(request.update_filter.as_ref())?;
    let mode = request.update_mode.unwrap_or_default();
    let mode = UpdateMode::try_from(mode).unwrap_or(UpdateMode::Upsert);
    let mut points = BTreeMap::new();
    for point in request.points {
        let id = Id::read(point.id.as_ref())?;
        let vectors = collection.shape.stored(point.vectors)?;
        let payload = point.payload;
        points.insert(id, Point { vectors, payload });
    }
    if let Some(answer) = not_applied(fault) {
        return Ok(answer);
    }
    points.retain(|id, _| match (collection.points.get(id), mode) {
        (None, UpdateMode::UpdateOnly) | (Some(_), UpdateMode::InsertOnly) => false,
        (None, UpdateMode::Upsert | UpdateMode::InsertOnly) => true,
        (Some(there), UpdateMode::Upsert | UpdateMode::UpdateOnly) => {
            filter::passes(request.update_filter.as_ref(), *id, there)
        }
    });
    collection.points.extend(points);
    Ok(done(status(request.wait)))
}

pub(super) fn delete(
    state: &State,
    request: DeletePoints,
    fault: Option<Fault>,
) -> Answer<PointsOperationResponse> {
    let mut collection = state.collection(&request.collection_name)?;
    let ids = selected(state, &collection, request.points)?;
    if let Some(answer) = not_applied(fault) {
        return Ok(answer);
    }
    for id in ids {
        collection.points.remove(&id);
    }
    Ok(done(status(request.wait)))
}

/// Keys that are not given stay.
pub(super) fn set_payload(
    state: &State,
    request: SetPayloadPoints,
    fault: Option<Fault>,
) -> Answer<PointsOperationResponse> {
    if request.key.is_some() {
        return Err(Status::unimplemented("Braid sets whole payloads"));
    }
    let given = request.payload;
    let change = |payload: &mut HashMap<String, Value>| payload.extend(given.clone());
    let of = (request.collection_name.as_str(), request.points_selector);
    change_payload(state, of, fault, request.wait, &change)
}

pub(super) fn overwrite_payload(
    state: &State,
    request: SetPayloadPoints,
    fault: Option<Fault>,
) -> Answer<PointsOperationResponse> {
    let given = request.payload;
    let change = |payload: &mut HashMap<String, Value>| payload.clone_from(&given);
    let of = (request.collection_name.as_str(), request.points_selector);
    change_payload(state, of, fault, request.wait, &change)
}

pub(super) fn delete_payload(
    state: &State,
    request: DeletePayloadPoints,
    fault: Option<Fault>,
) -> Answer<PointsOperationResponse> {
    let keys = request.keys;
    for key in &keys {
        path::check(key)?;
        if key.contains(['.', '[']) {
            return Err(Status::unimplemented("Braid deletes whole fields"));
        }
    }
    let change =
        |payload: &mut HashMap<String, Value>| payload.retain(|key, _| !keys.contains(key));
    let of = (request.collection_name.as_str(), request.points_selector);
    change_payload(state, of, fault, request.wait, &change)
}

/// Changes the payload of selected points; one that is named must be there.
fn change_payload(
    state: &State,
    (name, selector): (&str, Option<PointsSelector>),
    fault: Option<Fault>,
    wait: Option<bool>,
    change: &dyn Fn(&mut HashMap<String, Value>),
) -> Answer<PointsOperationResponse> {
    let mut collection = state.collection(name)?;
    let ids = selected(state, &collection, selector)?;
    if let Some(answer) = not_applied(fault) {
        return Ok(answer);
    }
    for id in ids {
        let Some(point) = collection.points.get_mut(&id) else {
            let id = id.write();
            return Err(Status::not_found(format!(
                "Not found: No point with id {id:?} found"
            )));
        };
        change(&mut point.payload);
    }
    Ok(done(status(wait)))
}

/// The points that a selector names, or that pass its filter.
fn selected(
    state: &State,
    collection: &Collection,
    selector: Option<PointsSelector>,
) -> Answer<Vec<Id>> {
    match selector.and_then(|selector| selector.points_selector_one_of) {
        None => Err(Status::invalid_argument("PointSelector is missing")),
        Some(PointsSelectorOneOf::Points(points)) => {
            check_batch(state, points.ids.len())?;
            points.ids.iter().map(|id| Id::read(Some(id))).collect()
        }
        Some(PointsSelectorOneOf::Filter(filter)) => {
            state.check_filter(collection, Some(&filter))?;
            let passing = collection.points.iter();
            let passing = passing.filter(|(id, point)| filter::passes(Some(&filter), **id, point));
            Ok(passing.map(|(id, _)| *id).collect())
        }
    }
}

fn check_batch(state: &State, points: usize) -> Answer<()> {
    match state.strictness.max_batch {
        Some(most) if points > most => Err(Status::invalid_argument(format!(
            "Bad request: Limit exceeded {points} > {most} for \"upsert limit\""
        ))),
        _ => Ok(()),
    }
}

/// The answer of a server that gave up waiting.
fn not_applied(fault: Option<Fault>) -> Option<PointsOperationResponse> {
    (fault == Some(Fault::NotAppliedYet)).then(|| done(UpdateStatus::WaitTimeout))
}

/// Only who waits is told that a write is applied.
fn status(wait: Option<bool>) -> UpdateStatus {
    if wait == Some(true) {
        UpdateStatus::Completed
    } else {
        UpdateStatus::Acknowledged
    }
}
