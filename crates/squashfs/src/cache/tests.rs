use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Barrier;
use std::sync::atomic::AtomicUsize;

use super::*;
use crate::block::BlockKind;
use crate::error::Table;

fn key(archive: u64, offset: u64) -> BlockKey {
    BlockKey {
        archive,
        offset,
        size: 0,
        kind: BlockKind::Data,
    }
}

fn block(len: usize) -> Result<Block, Error> {
    Ok(Block::new(vec![7; len], 0))
}

/// Whether the block has to be loaded (and is now kept).
fn is_missing(cache: &BlockCache, key: BlockKey) -> bool {
    let mut loaded = false;
    let result = cache.get_or_load(key, || {
        loaded = true;
        block(1000)
    });
    assert_eq!(result.unwrap().len(), 1000);
    loaded
}

#[test]
fn a_block_that_many_want_is_loaded_once() {
    let cache = BlockCache::new(1 << 20);
    let (loads, together) = (AtomicUsize::new(0), Barrier::new(8));
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                together.wait();
                let found = cache.get_or_load(key(0, 0), || {
                    loads.fetch_add(1, Relaxed);
                    // Long enough for the others to come; if they do not, they find it kept.
                    for _ in 0..1000 {
                        std::thread::yield_now();
                    }
                    block(1000)
                });
                assert_eq!(found.unwrap().len(), 1000);
            });
        }
    });
    assert_eq!(loads.load(Relaxed), 1);
    let counts = cache.counts();
    assert_eq!((counts.hits, counts.misses), (7, 1));
}

#[test]
fn a_full_cache_stays_below_its_bound() {
    for bound in [0, 500, 100_000, 20 << 20] {
        let cache = BlockCache::new(bound);
        for offset in 0..50_000 {
            cache.get_or_load(key(0, offset), || block(1000)).unwrap();
        }
        let bytes = cache.counts().bytes as usize;
        assert!(bytes <= bound, "{bytes} of {bound}");
        assert!(bytes + 20_000 > bound || bound < 2000, "{bytes} of {bound}");
    }
}

#[test]
fn what_is_used_again_outlives_what_is_read_once() {
    let cache = BlockCache::new(100_000);
    assert!(is_missing(&cache, key(0, 0)));
    for offset in 1..5000 {
        assert!(!is_missing(&cache, key(0, 0)), "lost after {offset}");
        cache.get_or_load(key(0, offset), || block(1000)).unwrap();
    }
}

#[test]
fn a_failed_load_is_tried_again() {
    let cache = BlockCache::new(100_000);
    let failure = Error::corrupt(Table::Data, 5, "broken");
    let failed = cache.get_or_load(key(0, 0), || Err(failure.clone()));
    assert_eq!(failed.unwrap_err(), failure);
    assert!(is_missing(&cache, key(0, 0)));
    assert!(!is_missing(&cache, key(0, 0)));
}

#[test]
fn a_panic_in_a_load_leaves_nobody_waiting() {
    let cache = BlockCache::new(100_000);
    let waiting = Barrier::new(2);
    std::thread::scope(|scope| {
        let panicked = scope.spawn(|| {
            catch_unwind(AssertUnwindSafe(|| {
                let _ = cache.get_or_load(key(0, 0), || {
                    waiting.wait();
                    panic!("on purpose");
                });
            }))
        });
        waiting.wait();
        assert!(is_missing(&cache, key(0, 0)));
        assert!(panicked.join().unwrap().is_err());
    });
    assert!(!is_missing(&cache, key(0, 0)));
}

#[test]
fn who_must_not_wait_does_not() {
    let cache = BlockCache::new(100_000);
    let loaded = cache.get_or_load_at_once(key(0, 0), || block(1000));
    assert_eq!(loaded.unwrap().unwrap().len(), 1000);
    let kept = cache.get_or_load_at_once(key(0, 0), || panic!("loaded twice"));
    assert_eq!(kept.unwrap().unwrap().len(), 1000);
    let slow = cache.get_or_load(key(0, 1), || {
        let meanwhile = cache.get_or_load_at_once(key(0, 1), || panic!("loaded twice"));
        assert!(meanwhile.unwrap().is_none());
        block(1000)
    });
    assert_eq!(slow.unwrap().len(), 1000);
}

#[test]
fn who_waits_for_somebody_without_time_loads_for_itself() {
    let cache = BlockCache::new(100_000);
    let (begun, asked) = (Barrier::new(2), Barrier::new(2));
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| {
            begun.wait();
            asked.wait();
            is_missing(&cache, key(0, 0))
        });
        let in_vain = cache.get_or_load_at_once(key(0, 0), || {
            begun.wait();
            asked.wait();
            // Long enough for the other to wait; if it does not, it finds nothing kept.
            for _ in 0..1000 {
                std::thread::yield_now();
            }
            Err(Error::NotInMemory)
        });
        assert_eq!(in_vain.unwrap_err(), Error::NotInMemory);
        assert!(waiter.join().unwrap());
    });
}

#[test]
fn forgetting_an_archive_leaves_the_others() {
    let cache = BlockCache::new(100_000);
    for archive in 0..2 {
        for offset in 0..10 {
            assert!(is_missing(&cache, key(archive, offset)));
        }
    }
    let before = cache.counts().bytes;
    cache.forget(0);
    assert_eq!(cache.counts().bytes, before / 2);
    assert!(!is_missing(&cache, key(1, 3)));
    assert!(is_missing(&cache, key(0, 3)));
}

#[test]
fn one_place_may_be_two_things() {
    let cache = BlockCache::new(100_000);
    assert!(is_missing(&cache, key(0, 0)));
    let as_metadata = BlockKey {
        kind: BlockKind::Metadata,
        ..key(0, 0)
    };
    assert!(is_missing(&cache, as_metadata));
}
