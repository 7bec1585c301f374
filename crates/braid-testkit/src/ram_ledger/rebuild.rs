//! Rebuilding a generation in memory.

use braid_core::ports::{RechunkedDocument, SwitchGeneration};
use braid_core::{Collection, DocumentId, Error, Result, Sequence, Slot, SlotSet};

use super::state::Data;

impl Data {
    pub(super) fn stage_rechunked(
        &mut self,
        document: &DocumentId,
        rechunked: RechunkedDocument,
    ) -> Result<Vec<Slot>> {
        let row = self.documents.get(document);
        let whole = row.filter(|row| row.current == Some(row.newest));
        let Some(sequence) = whole.map(|row| row.newest) else {
            return Err(Error::invalid(format!(
                "document {document} has no newest version that could be indexed"
            )));
        };
        self.check_slots_left(rechunked.chunks.len())?;
        let made_of = (rechunked.title.as_deref(), rechunked.language);
        let slots = self.store_chunks((document, sequence), made_of, rechunked.chunks);
        self.rechunking.extend(slots.iter().map(|slot| slot.0));
        Ok(slots)
    }

    pub(super) fn switch_generation(
        &mut self,
        epoch: u64,
        switch: SwitchGeneration,
    ) -> Result<Collection> {
        if switch.publish_through < self.newest {
            return Err(Error::invalid(format!(
                "operations up to {} are newer than what the new generation holds",
                self.newest
            )));
        }
        // Whatever is wrong below, nothing of this is kept.
        let before = self.clone();
        self.publish(epoch, switch.publish_through);
        let switched = self.exchange_all(epoch, &switch.rechunked);
        if let Err(error) = switched {
            *self = before;
            return Err(error);
        }
        self.serve_switched(switch);
        Ok(self.collection.clone())
    }

    fn exchange_all(&mut self, epoch: u64, rechunked: &[(DocumentId, Vec<Slot>)]) -> Result<()> {
        let rechunked: Vec<_> = rechunked
            .iter()
            .map(|(document, slots)| Ok((self.rechunked_version(document, slots)?, slots)))
            .collect::<Result<_>>()?;
        for (sequence, slots) in rechunked {
            self.exchange_slots(epoch, sequence, slots.clone());
        }
        Ok(())
    }

    fn serve_switched(&mut self, switch: SwitchGeneration) {
        let live = self.documents.values().filter_map(|row| row.live);
        for sequence in live {
            if let Some(version) = self.versions.get_mut(&sequence) {
                version.pipeline = switch.pipeline.clone();
            }
        }
        self.rechunking.clear();
        self.collection.generation = switch.generation;
        self.collection.fingerprint = switch.fingerprint;
        self.collection.settings = switch.settings;
        self.collection.dimension = switch.dimension;
    }

    /// The live version these slots were chunked from.
    fn rechunked_version(&self, document: &DocumentId, slots: &[Slot]) -> Result<Sequence> {
        let live = self.documents.get(document).and_then(|row| row.live);
        let of_live = |slot: &Slot| {
            let chunk = self.chunks.get(slot);
            chunk.is_some_and(|chunk| chunk.document == *document && Some(chunk.sequence) == live)
        };
        live.filter(|_| slots.iter().all(of_live)).ok_or_else(|| {
            Error::invalid(format!(
                "document {document} has changed since it was chunked anew"
            ))
        })
    }

    fn exchange_slots(&mut self, epoch: u64, sequence: Sequence, slots: Vec<Slot>) {
        let Some(version) = self.versions.get_mut(&sequence) else {
            return;
        };
        let new: SlotSet = slots.iter().map(|slot| slot.0).collect();
        let old: SlotSet = version.slots.iter().map(|slot| slot.0).collect();
        let first = slots.first().and_then(|slot| self.chunks.get(slot));
        version.language = first.and_then(|chunk| chunk.language);
        version.slots = slots;
        let old = old - &new;
        self.live -= &old;
        self.live |= &new;
        self.retire(epoch, &old);
    }
}
