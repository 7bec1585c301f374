//! Making collections.

use std::sync::Arc;

use braid_core::{Collection, CollectionId, Error, ErrorCode, NewCollection, Result};

use super::state::{Data, State};

impl State {
    pub(super) fn create_collection(&mut self, new: NewCollection) -> Result<Collection> {
        if let Some(data) = self.named(&new.name) {
            let found = &data.collection;
            let same = found.settings == new.settings
                && found.fingerprint == new.fingerprint
                && found.dimension == new.dimension;
            return same.then(|| found.clone()).ok_or_else(|| {
                Error::new(
                    ErrorCode::CollectionExists,
                    format!("collection {} exists with other settings", new.name),
                )
            });
        }
        self.collections_made += 1;
        let id = CollectionId(self.collections_made);
        let collection = Collection {
            id,
            name: new.name.clone(),
            settings: new.settings,
            synonyms: Arc::default(),
            fingerprint: new.fingerprint,
            dimension: new.dimension,
            generation: braid_core::Generation(1),
            created_at_ms: self.now_ms,
        };
        self.names.insert(new.name, id);
        let data = Data::new(collection.clone(), self.first_slot);
        self.data.insert(id, Arc::new(data));
        Ok(collection)
    }
}
