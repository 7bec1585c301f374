//! Heads on the server.

use std::collections::{BTreeMap, BTreeSet};

use braid_core::{DocumentId, Error, ErrorCode, Result, Sequence};
use uuid::Uuid;

use super::{Head, PUBLISHED};
use crate::cluster::cas::{Stamp, Swap, Table};
use crate::cluster::rows::{BODY, Fields, point_id, read_integer, read_json};

/// A head as it was read.
#[derive(Clone, Debug)]
pub(crate) struct Read {
    pub(crate) head: Head,
    /// `None` where there is no point.
    pub(crate) stamp: Option<Stamp>,
}

impl Read {
    fn of(document: &DocumentId, fields: Option<&Fields>) -> Result<Self> {
        match fields {
            Some(fields) => Self::found(fields),
            None => Ok(Self {
                head: Head::absent(document),
                stamp: None,
            }),
        }
    }

    /// The head of a point.
    pub(crate) fn found(fields: &Fields) -> Result<Self> {
        Ok(Self {
            head: read_json(fields, BODY)?,
            stamp: Some(Stamp::read(fields)?),
        })
    }

    /// Replaces it by `head`.
    pub(crate) fn swap(self, head: &Head) -> Result<Swap> {
        Ok(Swap {
            id: head_id(&head.document),
            expected: self.stamp,
            fields: head.fields()?,
        })
    }
}

/// The id of a document's head.
pub(crate) fn head_id(document: &str) -> Uuid {
    point_id(document)
}

/// The heads of a collection.
#[derive(Clone, Debug)]
pub(crate) struct Heads {
    pub(crate) table: Table,
}

impl Heads {
    /// The heads of these documents, in order; [`Head::absent`] where there is none.
    pub(crate) async fn read(&self, documents: &[DocumentId]) -> Result<Vec<Read>> {
        let ids: Vec<Uuid> = documents.iter().map(|it| head_id(it.as_str())).collect();
        let found = self.table.get(&ids, &[]).await?;
        let found = documents.iter().zip(&found);
        found
            .map(|(document, fields)| Read::of(document, fields.as_ref()))
            .collect()
    }

    /// As [`Heads::read`], as they are on most copies: for what is decided without a swap, because one
    /// copy may lag behind the others. Where copies disagree the server gives no head, as where there is
    /// none; so one that is not found is made, as that of a document that is gone, which is done only
    /// where there is none. The sweep removes it.
    ///
    /// # Errors
    /// [`Unavailable`](ErrorCode::Unavailable) while copies disagree.
    pub(crate) async fn read_agreed(&self, documents: &[DocumentId]) -> Result<Vec<Read>> {
        if !self.table.is_replicated() {
            return self.read(documents).await;
        }
        let mut agreed: BTreeMap<&DocumentId, Read> = BTreeMap::new();
        let mut open: Vec<&DocumentId> = documents.iter().collect();
        for _ in 0..ROUNDS {
            open.sort_unstable();
            open.dedup();
            if open.is_empty() {
                break;
            }
            let ids: Vec<Uuid> = open.iter().map(|it| head_id(it.as_str())).collect();
            let (mut absent, mut swaps) = (Vec::new(), Vec::new());
            for (document, fields) in open.iter().zip(self.table.get_agreed(&ids, &[]).await?) {
                let read = Read::of(document, fields.as_ref())?;
                if read.stamp.is_none() {
                    let head = read.head.clone();
                    swaps.push(read.clone().swap(&head)?);
                    absent.push(*document);
                }
                agreed.insert(*document, read);
            }
            let made = self.table.swap(swaps).await?;
            let found = absent.into_iter().zip(made).filter(|(_, made)| !made);
            open = found.map(|(document, _)| document).collect();
        }
        match open.first() {
            Some(document) => Err(contended(document)),
            None => Ok(documents.iter().map(|it| agreed[it].clone()).collect()),
        }
    }

    /// The head of one document.
    pub(crate) async fn read_one(&self, document: &DocumentId) -> Result<Head> {
        let mut read = self.read(std::slice::from_ref(document)).await?;
        Ok(read.remove(0).head)
    }

    /// The version of each document that queries see now, in order.
    pub(crate) async fn published(
        &self,
        documents: &[&DocumentId],
    ) -> Result<Vec<Option<Sequence>>> {
        let ids: Vec<Uuid> = documents.iter().map(|it| head_id(it.as_str())).collect();
        let found = self.table.get(&ids, &[PUBLISHED]).await?;
        let read = |fields: Option<Fields>| {
            let published = read_integer(&fields?, PUBLISHED)?;
            u64::try_from(published).ok().map(Sequence)
        };
        Ok(found.into_iter().map(read).collect())
    }

    /// Takes a step with each head until nobody was faster. `step` gives the next head, or `Err` with
    /// what is to be answered where there is no step to take. In order: the answers, `done` where the
    /// step was taken.
    pub(crate) async fn step<A: Clone + Send>(
        &self,
        documents: &[DocumentId],
        done: A,
        mut step: impl FnMut(usize, Head) -> Result<std::result::Result<Head, A>> + Send,
    ) -> Result<Vec<A>> {
        let mut answers: BTreeMap<usize, A> = BTreeMap::new();
        let mut open: Vec<usize> = (0..documents.len()).collect();
        for _ in 0..ROUNDS {
            if open.is_empty() {
                return Ok(answers.into_values().collect());
            }
            let asked: Vec<DocumentId> = open.iter().map(|at| documents[*at].clone()).collect();
            let (mut swaps, mut swapped) = (Vec::new(), Vec::new());
            let (mut taken, mut later) = (BTreeSet::new(), Vec::new());
            for (at, read) in open.iter().zip(self.read(&asked).await?) {
                // A document that is named twice takes its steps one after the other.
                if !taken.insert(&documents[*at]) {
                    later.push(*at);
                    continue;
                }
                match step(*at, read.head.clone())? {
                    Ok(next) => {
                        swaps.push(read.swap(&next)?);
                        swapped.push(*at);
                    }
                    Err(answer) => {
                        answers.insert(*at, answer);
                    }
                }
            }
            open = later;
            for (at, applied) in swapped.into_iter().zip(self.table.swap(swaps).await?) {
                if applied {
                    answers.insert(at, done.clone());
                } else {
                    open.push(at);
                }
            }
        }
        if open.is_empty() {
            return Ok(answers.into_values().collect());
        }
        Err(contended(&documents[open[0]]))
    }
}

/// How often a step is tried again when others were faster.
pub(crate) const ROUNDS: usize = 64;

/// Others are faster again and again.
pub(crate) fn contended(document: &DocumentId) -> Error {
    Error::new(
        ErrorCode::Unavailable,
        format!(
            "too many others write {:?} at the same time",
            document.as_str()
        ),
    )
    .with_help("try again")
}
