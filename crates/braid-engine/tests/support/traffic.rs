//! Queries and writes that go on while something happens to the server.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Queries between two writes.
const BETWEEN: usize = 4;

/// How long answers may take that are waited for.
const DEADLINE: Duration = Duration::from_secs(300);

/// What is written and asked.
pub(crate) trait Flow: Send + Sync + 'static {
    /// Writes something more, until it is acknowledged.
    fn write(&self) -> impl Future<Output = ()> + Send;

    /// Asks for something that is there.
    fn ask(&self) -> impl Future<Output = ()> + Send;
}

/// What goes on.
pub(crate) struct Traffic<F> {
    flow: Arc<F>,
    is_over: Arc<AtomicBool>,
    answers: watch::Receiver<usize>,
    running: JoinHandle<()>,
}

impl<F: Flow> Traffic<F> {
    /// Begins. Writes do not hold queries up.
    pub(crate) fn start(flow: F) -> Self {
        let flow = Arc::new(flow);
        let is_over = Arc::new(AtomicBool::new(false));
        let (answered, answers) = watch::channel(0);
        let asks = ask_on(Arc::clone(&flow), Arc::clone(&is_over), answered);
        let writes = write_on(Arc::clone(&flow), Arc::clone(&is_over), answers.clone());
        let running = tokio::spawn(async { tokio::join!(asks, writes).0 });
        Self {
            flow,
            is_over,
            answers,
            running,
        }
    }

    /// Waits for so many more answers.
    pub(crate) async fn answers(&mut self, count: usize) {
        let wanted = *self.answers.borrow() + count;
        let enough = self.answers.wait_for(|answers| *answers >= wanted);
        // Where it has ended early, stopping it tells why.
        let _ = within("answers", enough).await;
    }

    /// Ends it: what is being written is still acknowledged.
    pub(crate) async fn stop(self) -> Arc<F> {
        self.is_over.store(true, Relaxed);
        let running = within("the last write", self.running).await;
        running.expect("queries and writes did not fail");
        self.flow
    }
}

async fn ask_on(flow: Arc<impl Flow>, is_over: Arc<AtomicBool>, answered: watch::Sender<usize>) {
    while !is_over.load(Relaxed) {
        flow.ask().await;
        answered.send_modify(|answers| *answers += 1);
    }
}

async fn write_on(
    flow: Arc<impl Flow>,
    is_over: Arc<AtomicBool>,
    mut answers: watch::Receiver<usize>,
) {
    while !is_over.load(Relaxed) {
        flow.write().await;
        let wanted = *answers.borrow() + BETWEEN;
        // Fails where no more are asked for.
        let _ = answers.wait_for(|answers| *answers >= wanted).await;
    }
}

/// What comes of something that is not to take longer than the deadline.
async fn within<T>(what: &str, something: impl Future<Output = T>) -> T {
    let done = tokio::time::timeout(DEADLINE, something).await;
    done.unwrap_or_else(|_| panic!("{what} took longer than {DEADLINE:?}"))
}
