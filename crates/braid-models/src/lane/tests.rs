use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc as blocking;

use super::*;

/// A lane of one thread whose state counts the tasks it has run.
fn counting_lane(capacity: usize) -> Lane<usize> {
    let settings = LaneSettings {
        name: "test",
        threads: 1,
        capacity,
        warm: false,
    };
    Lane::start(settings, Vec::new(), || Ok(0)).unwrap()
}

/// Occupies the lane's thread until the returned sender is dropped.
async fn occupy(lane: &Lane<usize>) -> (blocking::Sender<()>, Answer<()>) {
    let (release, held) = blocking::channel::<()>();
    let (started, running) = oneshot::channel();
    let answer = lane
        .submit(move |_, _| {
            started.send(()).unwrap();
            let _ = held.recv();
            Ok(())
        })
        .await
        .unwrap();
    running.await.unwrap();
    (release, answer)
}

fn count(state: &mut usize, _: &dyn Caller) -> Result<usize> {
    *state += 1;
    Ok(*state)
}

#[tokio::test]
async fn a_full_queue_refuses_and_bulk_work_waits_for_room() {
    let lane = counting_lane(1);
    let (release, first) = occupy(&lane).await;
    let waiting = lane.try_submit(count).unwrap();
    let refused = lane.try_submit(count).err().expect("the queue holds one");
    assert_eq!(refused.code(), ErrorCode::Overloaded);
    let bulk = lane.submit(count);
    let (bulk, ()) = tokio::join!(bulk, async { drop(release) });
    first.wait().await.unwrap();
    assert_eq!(waiting.wait().await.unwrap(), 1);
    assert_eq!(bulk.unwrap().wait().await.unwrap(), 2);
}

#[tokio::test]
async fn abandoned_tasks_are_skipped() {
    let lane = counting_lane(4);
    let (release, _first) = occupy(&lane).await;
    drop(lane.try_submit(count).unwrap());
    let kept = lane.try_submit(count).unwrap();
    drop(release);
    assert_eq!(kept.wait().await.unwrap(), 1, "only the kept one ran");
}

#[tokio::test]
async fn a_running_task_sees_that_its_caller_has_gone() {
    let lane = counting_lane(1);
    let (started, running) = oneshot::channel();
    let (release, held) = blocking::channel::<()>();
    let (tell, told) = oneshot::channel();
    let answer = lane
        .try_submit(move |_, caller| {
            started.send(caller.is_gone()).unwrap();
            let _ = held.recv();
            tell.send(caller.is_gone()).unwrap();
            Ok(())
        })
        .unwrap();
    assert!(!running.await.unwrap());
    drop(answer);
    drop(release);
    assert!(told.await.unwrap());
}

#[tokio::test]
async fn a_panic_costs_the_state_and_nothing_else() {
    let lane = counting_lane(2);
    assert_eq!(lane.try_submit(count).unwrap().wait().await.unwrap(), 1);
    let broken: Answer<()> = lane.try_submit(|_, _| panic!("as planned")).unwrap();
    assert_eq!(broken.wait().await.unwrap_err().code(), ErrorCode::Internal);
    assert_eq!(lane.try_submit(count).unwrap().wait().await.unwrap(), 1);
}

#[tokio::test]
async fn a_state_that_cannot_be_made_is_an_answer_and_is_tried_again() {
    let attempts = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&attempts);
    let settings = LaneSettings {
        name: "test",
        threads: 1,
        capacity: 2,
        warm: false,
    };
    let lane = Lane::start(settings, Vec::new(), move || {
        match counter.fetch_add(1, Ordering::SeqCst) {
            0 => Err(Error::new(ErrorCode::ModelUnavailable, "not yet")),
            _ => Ok(0),
        }
    })
    .unwrap();
    let first = lane.try_submit(count).unwrap().wait().await.unwrap_err();
    assert_eq!(first.code(), ErrorCode::ModelUnavailable);
    assert_eq!(lane.try_submit(count).unwrap().wait().await.unwrap(), 1);
    assert_eq!(attempts.load(Ordering::SeqCst), 2);
}
