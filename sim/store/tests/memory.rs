//! What an open empty store costs. A process of its own, since it looks at the whole of it.

use wavetank_store::{DiskOp, DiskReply, DiskRequest, FileName, Store, StoreConfig, StoreState};

/// The bytes that this process occupies; none where the system does not say.
fn resident() -> Option<u64> {
    let pages = std::fs::read_to_string("/proc/self/statm").ok()?;
    pages.split(' ').nth(1)?.parse::<u64>().ok().map(|pages| pages * 4096)
}

fn created() -> Store {
    let mut store = Store::open(StoreConfig::default());
    serve(&mut store);
    store.create();
    serve(&mut store);
    assert_eq!(*store.state(), StoreState::Ready);
    store
}

/// An empty disk that takes everything and keeps nothing.
fn serve(store: &mut Store) {
    let mut queue: Vec<(DiskOp, DiskRequest)> = Vec::new();
    loop {
        store.submissions(&mut queue);
        if queue.is_empty() {
            return;
        }
        for (op, request) in queue.drain(..) {
            let files: Vec<(FileName, u64)> = Vec::new();
            let reply = match request {
                DiskRequest::List => DiskReply::Files(files),
                _ => DiskReply::Done,
            };
            store.complete(op, Ok(reply));
        }
    }
}

#[test]
fn three_hundred_open_stores_fit_into_75_mib() {
    let Some(before) = resident() else { return };
    let stores: Vec<Store> = (0..300).map(|_| created()).collect();
    let after = resident().expect("it was there before");
    let each = after.saturating_sub(before) / stores.len() as u64;
    assert!(each < 256 << 10, "{each} bytes each");
}
