//! The application whose use of the database is tried: how it numbers its posts.

/// Every so many operations of the application are a post; the others read.
pub const POST_EVERY: u32 = 5;

/// Who posts as the `n`-th: the first users of the graph in turn.
pub fn author(n: u32, users: u64) -> u64 {
    u64::from(n) % users.clamp(1, 16)
}
