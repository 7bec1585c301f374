//! Lists that are kept, and cursors into them.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use braid_core::{Error, LedgerPin, Result};
use lru::LruCache;
use parking_lot::Mutex;
use uuid::Uuid;

use super::{Listing, More, Place, not_kept};
use crate::cache::{CachingRetriever, normalize};
use crate::request::RetrieveRequest;
use crate::response::RetrieveResponse;
use crate::retriever::Retriever;

/// How much is kept for next pages.
#[derive(Clone, Copy, Debug)]
pub struct PageLimits {
    /// Most bytes of all lists; 0 keeps none. The one that was not asked for longest goes first.
    pub bytes: u64,
    /// How long a list is kept after its last page was asked for.
    pub lifetime: Duration,
}

/// A [`CachingRetriever`] whose answers go on.
///
/// An answer that is not all there is has a `next_cursor`. The same request with it as `cursor` is
/// answered with what follows in the same list, however often anything is written meanwhile: no
/// passage twice, none passed over, but those that were deleted or replaced. Lists are kept in
/// memory, within [`PageLimits`]; a cursor of one that is gone is refused, never answered from another
/// state. A page may be asked for again.
pub struct PagingRetriever {
    caching: CachingRetriever,
    lists: Option<Lists>,
}

impl PagingRetriever {
    /// Gives cursors to the answers of `caching`.
    pub fn new(caching: CachingRetriever, limits: PageLimits) -> Self {
        let lists = (limits.bytes > 0).then(|| Lists::new(limits));
        Self { caching, lists }
    }

    /// The retriever, which remembers nothing.
    pub fn retriever(&self) -> &Retriever {
        self.caching.retriever()
    }

    /// As [`CachingRetriever::retrieve`]; with a cursor, the next page of the answer that gave it.
    ///
    /// # Errors
    /// As [`Retriever::retrieve`]. `CursorExpired` for a list that is no longer kept;
    /// `InvalidRequest` for a cursor of another request, and for what is no cursor.
    pub async fn retrieve(&self, request: RetrieveRequest) -> Result<RetrieveResponse> {
        self.retrieve_in(request, None).await
    }

    /// The same in a state that is pinned already, or in the newest.
    pub(crate) async fn retrieve_in(
        &self,
        mut request: RetrieveRequest,
        pin: Option<Arc<dyn LedgerPin>>,
    ) -> Result<RetrieveResponse> {
        let cursor = request.cursor.take();
        let Some(lists) = &self.lists else {
            return match cursor {
                None => self.caching.retrieve_in(request, pin).await,
                Some(_) => Err(not_kept().with_help("raise cache.pages_mib: it is 0")),
            };
        };
        let asked = identity(&request);
        let mut answer = match cursor {
            None => self.caching.retrieve_in(request, pin).await?,
            Some(text) => {
                let cursor = Cursor::parse(&text)?;
                let more = lists.find(cursor, &asked)?;
                let mut page = self.retriever().page(&request, more, pin).await?;
                let next = page.more.take();
                page.next_cursor = next.map(|more| lists.issue(cursor.list, more.place).text());
                return Ok(page);
            }
        };
        let next = answer.more.take().map(|more| lists.keep(more, asked));
        answer.next_cursor = next.map(Cursor::text);
        Ok(answer)
    }
}

impl std::fmt::Debug for PagingRetriever {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PagingRetriever")
            .field("caching", &self.caching)
            .field("pages", &self.lists.is_some())
            .finish()
    }
}

/// The whole request but for what changes no list.
fn identity(request: &RetrieveRequest) -> String {
    let mut asked = request.clone();
    normalize(&mut asked);
    (asked.explain, asked.cache) = (false, true);
    format!("{asked:?}")
}

/// A place in a kept list.
#[derive(Clone, Copy)]
struct Cursor {
    list: Uuid,
    place: Place,
}

impl Cursor {
    fn text(self) -> String {
        let Place { next, returned } = self.place;
        format!("{}-{next}-{returned}", self.list.simple())
    }

    /// Only as [`Cursor::text`] writes it: numbers can be written in several ways.
    fn parse(text: &str) -> Result<Self> {
        let cursor = Self::read(text).filter(|cursor| cursor.text() == text);
        cursor.ok_or_else(no_cursor)
    }

    fn read(text: &str) -> Option<Self> {
        let mut parts = text.split('-');
        let mut number = || parts.next_back()?.parse().ok();
        let (returned, next) = (number(), number());
        let list = parts.next().and_then(|list| Uuid::try_parse(list).ok());
        match (list, next, returned, parts.next()) {
            (Some(list), Some(next), Some(returned), None) => Some(Self {
                list,
                place: Place { next, returned },
            }),
            _ => None,
        }
    }
}

fn no_cursor() -> Error {
    let detail = "is no cursor that an answer gave: send `next_cursor` as it came";
    Error::invalid_field("/cursor", detail)
}

/// Bytes of a list beside its candidates, about.
const FIXED_BYTES: usize = 512;

struct Lists {
    limits: PageLimits,
    kept: Mutex<Kept>,
}

/// The list that was asked for last is the last to go, and the last to expire.
struct Kept {
    lists: LruCache<Uuid, List>,
    bytes: u64,
}

struct List {
    listing: Arc<Listing>,
    /// Whose it is.
    asked: String,
    /// Where pages may begin: as cursors were given, the newest last.
    issued: VecDeque<Place>,
    until: Instant,
}

impl List {
    fn bytes(&self) -> u64 {
        let issued = self.most_issued() * size_of::<Place>();
        (self.listing.bytes() + self.asked.len() + issued + FIXED_BYTES) as u64
    }

    /// As many pages as the list can have. Pages asked for again after deletions can end elsewhere:
    /// then the places given first go.
    fn most_issued(&self) -> usize {
        self.listing.listed.len().max(1)
    }

    fn issue(&mut self, place: Place) {
        if self.issued.contains(&place) {
            return;
        }
        if self.issued.len() >= self.most_issued() {
            self.issued.pop_front();
        }
        self.issued.push_back(place);
    }
}

impl Lists {
    fn new(limits: PageLimits) -> Self {
        let kept = Kept {
            lists: LruCache::unbounded(),
            bytes: 0,
        };
        Self {
            limits,
            kept: Mutex::new(kept),
        }
    }

    /// Keeps a list and makes room for it. One that is larger than the limit is not kept: its cursor
    /// says so when it is used.
    fn keep(&self, more: More, asked: String) -> Cursor {
        let now = Instant::now();
        let list = List {
            listing: more.listing,
            asked,
            issued: VecDeque::from([more.place]),
            until: now + self.limits.lifetime,
        };
        let id = Uuid::new_v4();
        let mut kept = self.kept.lock();
        kept.bytes += list.bytes();
        kept.lists.put(id, list);
        while kept.bytes > self.limits.bytes || kept.is_first_expired(now) {
            kept.drop_first();
        }
        metrics::gauge!("braid_retrieve_lists_bytes").set(kept.bytes as f64);
        Cursor {
            list: id,
            place: more.place,
        }
    }

    /// A cursor of another place in a list. Where the list is gone, the cursor says so when it is used.
    fn issue(&self, id: Uuid, place: Place) -> Cursor {
        if let Some(list) = self.kept.lock().lists.peek_mut(&id) {
            list.issue(place);
        }
        Cursor { list: id, place }
    }

    fn find(&self, cursor: Cursor, asked: &str) -> Result<More> {
        let now = Instant::now();
        let mut kept = self.kept.lock();
        while kept.is_first_expired(now) {
            kept.drop_first();
        }
        let list = kept.lists.get_mut(&cursor.list).ok_or_else(not_kept)?;
        if list.asked != asked {
            let detail = "belongs to another request: repeat the one that gave it, and add it";
            return Err(Error::invalid_field("/cursor", detail));
        }
        if !list.issued.contains(&cursor.place) {
            return Err(no_cursor());
        }
        list.until = now + self.limits.lifetime;
        Ok(More {
            listing: Arc::clone(&list.listing),
            place: cursor.place,
        })
    }
}

impl Kept {
    fn is_first_expired(&self, now: Instant) -> bool {
        let first = self.lists.peek_lru();
        first.is_some_and(|(_, list)| list.until <= now)
    }

    fn drop_first(&mut self) {
        if let Some((_, list)) = self.lists.pop_lru() {
            self.bytes -= list.bytes();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_as_it_was_written() {
        let cursor = Cursor {
            list: Uuid::from_u128(7),
            place: Place {
                next: 12,
                returned: 8,
            },
        };
        let read = Cursor::parse(&cursor.text()).unwrap();
        assert_eq!((read.list, read.place), (cursor.list, cursor.place));
        let text = cursor.text();
        for bad in [
            "",
            "x",
            "--",
            &text[1..],
            &format!("{text}-1"),
            &format!("1-{text}"),
            &text.replace("-12-", "-+12-"),
            &text.replace("-12-", "-012-"),
            &text.replace("07-", "07--"),
            &text.replace("000007-", "00000A-"),
        ] {
            assert!(Cursor::parse(bad).is_err(), "{bad}");
        }
    }
}
