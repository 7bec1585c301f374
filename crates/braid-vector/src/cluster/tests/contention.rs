//! Many at the same point.

use std::collections::BTreeSet;

use braid_core::{CollectionId, ErrorCode};
use tokio::task::JoinSet;

use super::{World, everywhere};
use crate::cluster::cas::{Stamp, Swap, Table};
use crate::cluster::counters::{Counter, Counters};
use crate::cluster::rows::{BODY, Fields, point_id, read_json, write_json};

const TASKS: u32 = 8;
const EACH: u32 = 20;

everywhere!(
    no_write_is_lost_or_done_twice,
    no_number_is_given_twice,
    what_was_removed_stays_removed,
);

pub(super) type Log = Vec<(u32, u32)>;

pub(super) async fn read(table: &Table) -> (Log, Option<Stamp>) {
    let found = table.get(&[point_id("log")], &[]).await.unwrap().remove(0);
    match found {
        Some(fields) => {
            let stamp = Stamp::read(&fields).unwrap();
            (read_json(&fields, BODY).unwrap(), Some(stamp))
        }
        None => (Log::new(), None),
    }
}

pub(super) fn swap(log: &Log, expected: Option<Stamp>) -> Swap {
    let fields = Fields::from([(BODY.to_owned(), write_json(log).unwrap())]);
    Swap {
        id: point_id("log"),
        expected,
        fields,
    }
}

/// Adds an entry, and looks for it where it cannot be known whether it was added.
pub(super) async fn append(table: &Table, entry: (u32, u32)) {
    loop {
        let (mut log, expected) = read(table).await;
        log.push(entry);
        match table.swap(vec![swap(&log, expected)]).await {
            Ok(applied) if applied == [true] => return,
            Ok(_) => {}
            Err(error) => {
                assert_eq!(error.code(), ErrorCode::Unavailable, "{error}");
                if read(table).await.0.contains(&entry) {
                    return;
                }
            }
        }
    }
}

async fn no_write_is_lost_or_done_twice(world: World) {
    let table = Table::new(world.site(), format!("{}-log", world.options.namespace));
    table.ensure(&[]).await.unwrap();
    let mut tasks = JoinSet::new();
    for task in 0..TASKS {
        // Each has connections of its own.
        let table = Table::new(world.site(), format!("{}-log", world.options.namespace));
        tasks.spawn(async move {
            for number in 0..EACH {
                append(&table, (task, number)).await;
            }
        });
    }
    tasks.join_all().await;
    let (log, _) = read(&table).await;
    for task in 0..TASKS {
        let own = log.iter().filter(|(of, _)| *of == task);
        let own: Vec<u32> = own.map(|(_, number)| *number).collect();
        assert_eq!(own, (0..EACH).collect::<Vec<_>>(), "task {task}");
    }
}

async fn no_number_is_given_twice(world: World) {
    let table = || Table::new(world.site(), world.site().registry_name());
    table().ensure(&[]).await.unwrap();
    let mut tasks = JoinSet::new();
    for task in 0..TASKS as usize {
        let counters = Counters::new(table());
        tasks.spawn(async move {
            let mut taken = Vec::new();
            for round in 0..5 {
                let count = task * 10 + round;
                taken.extend(counters.slots(CollectionId(1), count).await.unwrap());
            }
            taken
        });
    }
    let taken = tasks.join_all().await.concat();
    let distinct: BTreeSet<_> = taken.iter().collect();
    assert_eq!(distinct.len(), taken.len());
    let counters = Counters::new(table());
    let bound = counters.bound(Counter::Slots(CollectionId(1)));
    let most = taken.iter().map(|slot| u64::from(slot.0)).max().unwrap();
    assert!(most < bound.await.unwrap());
}

async fn what_was_removed_stays_removed(world: World) {
    let table = Table::new(world.site(), format!("{}-log", world.options.namespace));
    table.ensure(&[]).await.unwrap();
    append(&table, (0, 0)).await;
    let (mut log, late) = read(&table).await;
    log.push((0, 1));
    table.delete(&[point_id("log")]).await.unwrap();
    let applied = table.swap(vec![swap(&log, late.clone())]).await.unwrap();
    assert_eq!(applied, [false]);
    assert_eq!(read(&table).await, (Log::new(), None));
    append(&table, (1, 0)).await;
    let applied = table
        .swap(vec![swap(&log, late)])
        .await
        .unwrap_or_else(|_| vec![false]);
    assert_eq!(applied, [false]);
    let applied = table.swap(vec![swap(&log, None)]).await.unwrap();
    assert_eq!(applied, [false], "one is there");
    assert_eq!(read(&table).await.0, [(1, 0)]);
}
