//! The bounded queue between async code and inference.
//!
//! A [`Lane`] is a queue of tasks and the threads that run them, each with a state of its own (a
//! session) that is made when it is first needed. A task whose caller has gone away is skipped. A
//! task that panics loses its state, not its thread.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use braid_core::{Error, ErrorCode, Result};
use parking_lot::Mutex;
use tokio::sync::mpsc::{self, error::TrySendError};
use tokio::sync::oneshot;

type Task<W> = Box<dyn FnOnce(&mut Seat<W>) + Send>;
type MakeState<W> = Arc<dyn Fn() -> Result<W> + Send + Sync>;

/// What a lane is made of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LaneSettings {
    /// Names its threads and metrics.
    pub(crate) name: &'static str,
    /// How many threads.
    pub(crate) threads: usize,
    /// How many tasks may wait.
    pub(crate) capacity: usize,
    /// Whether threads make their state at once instead of with their first task.
    pub(crate) warm: bool,
}

/// A bounded queue served by threads with a state `W` each.
pub(crate) struct Lane<W> {
    name: &'static str,
    queue: Option<mpsc::Sender<Task<W>>>,
    threads: Vec<JoinHandle<()>>,
}

/// Tells a running task whether anybody still waits for it.
pub(crate) trait Caller {
    /// Whether the caller has gone away.
    fn is_gone(&self) -> bool;
}

impl<T> Caller for oneshot::Sender<T> {
    fn is_gone(&self) -> bool {
        self.is_closed()
    }
}

/// A task's answer, to be awaited. Dropping it abandons the task.
#[must_use = "a task whose answer is dropped is skipped"]
pub(crate) struct Answer<T>(oneshot::Receiver<Result<T>>);

impl<T> Answer<T> {
    /// Waits for the answer.
    pub(crate) async fn wait(self) -> Result<T> {
        let stopped =
            |error| Error::internal("inference stopped before answering").with_source(error);
        self.0.await.map_err(stopped)?
    }
}

impl<W: 'static> Lane<W> {
    /// Starts the threads. `ready` states are used first; others are made by `make` when needed.
    pub(crate) fn start(
        settings: LaneSettings,
        ready: Vec<W>,
        make: impl Fn() -> Result<W> + Send + Sync + 'static,
    ) -> Result<Self>
    where
        W: Send,
    {
        let (queue, tasks) = mpsc::channel::<Task<W>>(settings.capacity.max(1));
        let tasks = Arc::new(Mutex::new(tasks));
        let make: MakeState<W> = Arc::new(make);
        let mut ready = ready.into_iter();
        let threads = (0..settings.threads.max(1))
            .map(|_| {
                let seat = Seat {
                    state: ready.next(),
                    make: Arc::clone(&make),
                };
                let tasks = Arc::clone(&tasks);
                let builder = thread::Builder::new().name(format!("braid-{}", settings.name));
                builder.spawn(move || serve(&tasks, seat, settings.warm))
            })
            .collect::<std::io::Result<Vec<_>>>()
            .map_err(|error| {
                Error::internal("cannot start inference threads").with_source(error)
            })?;
        Ok(Self {
            name: settings.name,
            queue: Some(queue),
            threads,
        })
    }

    /// Enqueues a task now.
    ///
    /// # Errors
    /// [`Overloaded`](ErrorCode::Overloaded) when the queue is full.
    pub(crate) fn try_submit<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut W, &dyn Caller) -> Result<T> + Send + 'static,
    ) -> Result<Answer<T>> {
        let (task, answer) = task(work);
        match self.queue()?.try_send(task) {
            Ok(()) => Ok(answer),
            Err(TrySendError::Full(_)) => {
                metrics::counter!("braid_inference_rejected_total", "lane" => self.name)
                    .increment(1);
                let message = format!("the {} queue is full", self.name);
                Err(Error::new(ErrorCode::Overloaded, message).with_help("retry later"))
            }
            Err(TrySendError::Closed(_)) => Err(stopped()),
        }
    }

    /// Enqueues a task as soon as there is room.
    ///
    /// # Cancel safety
    /// Dropping the future before it is done enqueues nothing.
    pub(crate) async fn submit<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut W, &dyn Caller) -> Result<T> + Send + 'static,
    ) -> Result<Answer<T>> {
        let (task, answer) = task(work);
        self.queue()?.send(task).await.map_err(|_| stopped())?;
        Ok(answer)
    }

    fn queue(&self) -> Result<&mpsc::Sender<Task<W>>> {
        self.queue.as_ref().ok_or_else(stopped)
    }
}

/// Waits for tasks under way: ONNX Runtime must not be running when the program ends.
impl<W> Drop for Lane<W> {
    fn drop(&mut self) {
        self.queue = None;
        for thread in self.threads.drain(..) {
            // A thread ends without panicking: `serve` catches what its tasks throw.
            let _ = thread.join();
        }
    }
}

impl<W> std::fmt::Debug for Lane<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lane")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// A thread's state, made when first needed.
struct Seat<W> {
    state: Option<W>,
    make: MakeState<W>,
}

impl<W> Seat<W> {
    fn state(&mut self) -> Result<&mut W> {
        let state = match self.state.take() {
            Some(state) => state,
            None => (self.make)()?,
        };
        Ok(self.state.insert(state))
    }
}

fn serve<W>(tasks: &Mutex<mpsc::Receiver<Task<W>>>, mut seat: Seat<W>, warm: bool) {
    if warm && seat.state().is_err() {
        tracing::debug!("inference state not made ahead; the first task tries again");
    }
    loop {
        // The lock is held while waiting: whoever has it takes the next task.
        let task = tasks.lock().blocking_recv();
        let Some(task) = task else { return };
        if catch_unwind(AssertUnwindSafe(|| task(&mut seat))).is_err() {
            tracing::error!("inference panicked");
            seat.state = None;
        }
    }
}

fn task<W, T: Send + 'static>(
    work: impl FnOnce(&mut W, &dyn Caller) -> Result<T> + Send + 'static,
) -> (Task<W>, Answer<T>) {
    let (sender, receiver) = oneshot::channel();
    let task = move |seat: &mut Seat<W>| {
        if sender.is_closed() {
            return;
        }
        let outcome = seat.state().and_then(|state| work(state, &sender));
        // The caller may be gone by now; then nobody misses the answer.
        let _ = sender.send(outcome);
    };
    (Box::new(task), Answer(receiver))
}

fn stopped() -> Error {
    Error::new(ErrorCode::ShuttingDown, "inference is shutting down")
}

#[cfg(test)]
mod tests;
