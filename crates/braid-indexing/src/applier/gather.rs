//! Runs of consecutive operations, and what they mean to an index.

use braid_core::{Operation, OperationKind, Sequence, Slot, SlotSet};

use crate::indexes::Change;

/// Consecutive operations that are applied and published together.
#[derive(Clone, Debug, Default)]
pub(crate) struct Run {
    /// The last operation.
    pub(crate) through: Sequence,
    /// Slots added, each with its operation.
    puts: Vec<(Sequence, Slot)>,
    /// Slots purged, each with its operation.
    purges: Vec<(Sequence, Slot)>,
    /// Everything in `purges`.
    purged: SlotSet,
}

impl Run {
    pub(crate) fn new(operations: &[Operation]) -> Option<Self> {
        let mut run = Self {
            through: operations.last()?.sequence,
            ..Self::default()
        };
        for operation in operations {
            let sequence = operation.sequence;
            match &operation.kind {
                OperationKind::Put { slots, .. } => {
                    run.puts.extend(slots.iter().map(|slot| (sequence, *slot)));
                }
                OperationKind::Purge { slots } => {
                    run.purges
                        .extend(slots.iter().map(|slot| (sequence, *slot)));
                    run.purged.extend(slots.iter().map(|slot| slot.0));
                }
                OperationKind::Delete { .. } | OperationKind::Failed { .. } => {}
            }
        }
        Some(run)
    }

    pub(crate) fn chunks(&self) -> u64 {
        self.puts.len() as u64
    }

    pub(crate) fn purges(&self) -> u64 {
        self.purged.len()
    }

    /// What an index whose watermark is `watermark` still lacks of the run. An index deletes before
    /// it adds, so what the run purges is not added in the first place.
    pub(crate) fn change_since(&self, watermark: Sequence) -> Change {
        let newer = |(sequence, slot): &(Sequence, Slot)| (*sequence > watermark).then_some(*slot);
        let add = self.puts.iter().filter_map(newer);
        Change {
            add: add.filter(|slot| !self.purged.contains(slot.0)).collect(),
            delete: self
                .purges
                .iter()
                .filter_map(newer)
                .map(|slot| slot.0)
                .collect(),
            before: watermark,
            after: self.through,
        }
    }
}

/// The first operations that together have at most `chunks` chunks, but at least one operation.
pub(crate) fn take_within(mut operations: Vec<Operation>, chunks: usize) -> Vec<Operation> {
    let mut total = 0;
    let within = operations.iter().take_while(|operation| {
        total += put_slots(operation).len();
        total <= chunks
    });
    let count = within.count().max(1);
    operations.truncate(count);
    operations
}

/// Slots an operation adds.
pub(crate) fn put_slots(operation: &Operation) -> &[Slot] {
    match &operation.kind {
        OperationKind::Put { slots, .. } => slots,
        OperationKind::Delete { .. }
        | OperationKind::Purge { .. }
        | OperationKind::Failed { .. } => &[],
    }
}

#[cfg(test)]
mod tests {
    use braid_core::DocumentId;

    use super::*;

    fn put(sequence: u64, slots: &[u32]) -> Operation {
        Operation {
            sequence: Sequence(sequence),
            kind: OperationKind::Put {
                document: DocumentId::new("d").unwrap(),
                slots: slots.iter().copied().map(Slot).collect(),
            },
        }
    }

    fn purge(sequence: u64, slots: &[u32]) -> Operation {
        Operation {
            sequence: Sequence(sequence),
            kind: OperationKind::Purge {
                slots: slots.iter().copied().map(Slot).collect(),
            },
        }
    }

    #[test]
    fn a_run_takes_whole_operations_and_at_least_one() {
        let log = || vec![put(1, &[0, 1]), purge(2, &[9]), put(3, &[2]), put(4, &[3])];
        let taken = |chunks| take_within(log(), chunks).len();
        assert_eq!(
            [taken(0), taken(1), taken(2), taken(3), taken(9)],
            [1, 1, 2, 3, 4]
        );
        assert!(take_within(vec![], 5).is_empty());
    }

    #[test]
    fn a_change_skips_what_the_index_has_and_never_adds_what_the_run_purges() {
        let run = Run::new(&[put(5, &[10, 11]), put(6, &[12]), purge(7, &[10, 3])]).unwrap();
        let all = run.change_since(Sequence(4));
        assert_eq!(all.add, [Slot(11), Slot(12)]);
        assert_eq!(all.delete, SlotSet::from_iter([3, 10]));
        assert_eq!((all.before, all.after), (Sequence(4), Sequence(7)));
        let rest = run.change_since(Sequence(6));
        assert!(rest.add.is_empty());
        assert_eq!(rest.delete, SlotSet::from_iter([3, 10]));
        assert!(Run::new(&[]).is_none());
    }
}
