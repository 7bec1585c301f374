//! Making a collection. It is recorded first, as one that is being made; then everything of it is made in
//! Qdrant, and then it is recorded as made. Before that nobody uses it, so that one that was not made to
//! the end, by a process that died, is in nobody's way. Who asks for it again makes the rest.

use braid_core::{
    Collection, CollectionName, DuplicateAction, Error, ErrorCode, NewCollection, Result,
};

use super::row::{CollectionRow, is_same};
use super::{COLLECTION, KIND, NUMBER, Registry};
use crate::cluster::cas::{Stamp, Swap};
use crate::cluster::heads::ROUNDS;
use crate::cluster::rows::{BODY, Fields, integer, point_id, read_json, text, write_json};

impl Registry {
    /// Records a collection as one that is being made, or gives the one that is there and the same.
    ///
    /// # Errors
    /// [`CollectionExists`](ErrorCode::CollectionExists), and [`NotEnabled`](ErrorCode::NotEnabled) for
    /// settings that this profile does not offer.
    pub(crate) async fn create(&self, new: &NewCollection, now_ms: i64) -> Result<Collection> {
        if new.settings.duplicates.action != DuplicateAction::Ignore {
            return Err(Error::new(
                ErrorCode::NotEnabled,
                "duplicates are not looked for in the profile cluster",
            )
            .with_help("create the collection with duplicates: ignore"));
        }
        let found = match self.recorded(&new.name).await? {
            Some(found) => found,
            None => self.record(new, now_ms).await?,
        };
        is_same(&found, new)?;
        Ok(found)
    }

    async fn record(&self, new: &NewCollection, now_ms: i64) -> Result<Collection> {
        let used = self.largest_number().await?;
        let row = CollectionRow::new(new, self.counters.collection(used).await?, now_ms);
        let swap = Swap {
            id: collection_id(&new.name),
            expected: None,
            fields: fields(&row)?,
        };
        self.table.swap(vec![swap]).await?;
        let found = self.recorded(&new.name).await?;
        found.ok_or_else(|| deleted_meanwhile(&new.name))
    }

    /// Records that everything of a collection is there.
    ///
    /// # Errors
    /// [`Unavailable`](ErrorCode::Unavailable) where it was deleted meanwhile.
    pub(crate) async fn made(&self, collection: &Collection) -> Result<()> {
        let name = &collection.name;
        let found = self.read(name).await?;
        let is_made = |row: &CollectionRow| row.number == collection.id.0 && !row.is_making;
        if !found.as_ref().is_some_and(|(row, _)| is_made(row)) {
            let changed = self.change(name, |row| {
                let row = row.filter(|row| row.number == collection.id.0);
                let row = row.ok_or_else(|| deleted_meanwhile(name))?;
                Ok(row.made())
            });
            changed.await?;
        }
        self.forget();
        Ok(())
    }

    /// The collection of that name, be it made or not.
    pub(crate) async fn recorded(&self, name: &CollectionName) -> Result<Option<Collection>> {
        let found = self.read(name).await?;
        found.map(|(row, _)| row.collection()).transpose()
    }

    async fn read(&self, name: &CollectionName) -> Result<Option<(CollectionRow, Stamp)>> {
        let id = collection_id(name);
        let found = self.table.get_agreed(&[id], &[]).await?.remove(0);
        let read = |found: Fields| Ok((read_json(&found, BODY)?, Stamp::read(&found)?));
        found.map(read).transpose()
    }

    /// Changes what is recorded of a collection, from what is there.
    pub(super) async fn change(
        &self,
        name: &CollectionName,
        change: impl Fn(Option<CollectionRow>) -> Result<CollectionRow> + Send,
    ) -> Result<CollectionRow> {
        for _ in 0..ROUNDS {
            let (row, expected) = self.read(name).await?.unzip();
            let row = change(row)?;
            let swap = Swap {
                id: collection_id(name),
                expected,
                fields: fields(&row)?,
            };
            if self.table.swap(vec![swap]).await? == [true] {
                self.forget();
                return Ok(row);
            }
        }
        Err(Error::new(
            ErrorCode::Unavailable,
            "too many others change the collection",
        )
        .with_help("try again"))
    }
}

fn fields(row: &CollectionRow) -> Result<Fields> {
    Ok(Fields::from([
        (KIND.to_owned(), text(COLLECTION)),
        (NUMBER.to_owned(), integer(row.number.into())),
        (BODY.to_owned(), write_json(row)?),
    ]))
}

fn collection_id(name: &CollectionName) -> uuid::Uuid {
    point_id(&format!("collection/{name}"))
}

fn deleted_meanwhile(name: &CollectionName) -> Error {
    Error::new(
        ErrorCode::Unavailable,
        format!("collection {name} was deleted while it was made"),
    )
    .with_help("try again")
}
