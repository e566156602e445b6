//! Threads that share tasks, with those of the system in place of a browser's workers.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::thread;

use candle_whisper_core::kernels::pool::Pool;
use candle_whisper_web::crew::Crew;

/// A crew of `helpers` while `work` runs; they doze off when there is nothing to do.
fn with_crew(helpers: usize, work: impl FnOnce(&Crew)) {
    let crew = Crew::new(|_| {}, |_, _| thread::yield_now());
    let word = crew.hire(helpers);
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        for helper in 1..=helpers {
            let (crew, over) = (&crew, &over);
            scope.spawn(move || {
                loop {
                    let turn = crew.help(helper);
                    while word.load(Ordering::SeqCst) == turn {
                        if over.load(Ordering::Relaxed) {
                            return;
                        }
                        thread::yield_now();
                    }
                }
            });
        }
        work(&crew);
        over.store(true, Ordering::Relaxed);
    });
}

#[test]
fn every_task_of_every_job_is_done_once_by_the_time_it_returns() {
    with_crew(3, |crew| {
        assert_eq!(crew.threads(), 4);
        let done: Vec<AtomicU32> = (0..50).map(|_| AtomicU32::new(0)).collect();
        for job in 1..=2000 {
            let tasks = job % 50;
            crew.run(tasks, &|_, task| {
                done[task].fetch_add(1, Ordering::Relaxed);
            });
            assert!(done[..tasks].iter().all(|done| done.swap(0, Ordering::Relaxed) == 1), "job {job}");
        }
    });
}

#[test]
fn no_two_tasks_have_the_same_thread_at_a_time() {
    with_crew(2, |crew| {
        let busy: Vec<AtomicBool> = (0..crew.threads()).map(|_| AtomicBool::new(false)).collect();
        let clashes = AtomicUsize::new(0);
        for _ in 0..100 {
            crew.run(20, &|thread, task| {
                if busy[thread].swap(true, Ordering::Relaxed) {
                    clashes.fetch_add(1, Ordering::Relaxed);
                }
                if task % 7 == 0 {
                    thread::yield_now();
                }
                busy[thread].store(false, Ordering::Relaxed);
            });
        }
        assert_eq!(clashes.load(Ordering::Relaxed), 0);
    });
}

#[test]
fn without_helpers_the_one_who_asks_does_it_all() {
    let crew = Crew::new(|_| {}, |_, _| {});
    let sum = AtomicUsize::new(0);
    crew.run(5, &|thread, task| {
        assert_eq!(thread, 0);
        sum.fetch_add(task, Ordering::Relaxed);
    });
    assert_eq!(sum.load(Ordering::Relaxed), 10);
}

#[test]
fn a_task_that_asks_for_threads_is_told_so() {
    let crew = Crew::new(|_| {}, |_, _| {});
    // Without helpers: one would go on with a task whose asker is gone.
    let asked = std::panic::catch_unwind(|| crew.run(2, &|_, _| crew.run(2, &|_, _| {})));
    let said = asked.unwrap_err().downcast_ref::<&str>().map(ToString::to_string);
    assert_eq!(said.as_deref(), Some("a task asks for threads"));
}
