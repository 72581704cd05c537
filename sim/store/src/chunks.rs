//! A growing table in shared pieces: a clone copies pointers, and whoever changes an entry
//! afterwards copies its piece alone.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::{Index, IndexMut};

/// Entries of a piece: few enough that copying one is quick.
const CHUNK: usize = 64;

/// A table that is cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Chunks<T> {
    chunks: Vec<Arc<[T; CHUNK]>>,
    len: usize,
}

impl<T> Default for Chunks<T> {
    fn default() -> Chunks<T> {
        Chunks { chunks: Vec::new(), len: 0 }
    }
}

impl<T: Clone + Default> Chunks<T> {
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn push(&mut self, value: T) {
        if self.len.is_multiple_of(CHUNK) {
            self.chunks.push(Arc::new(core::array::from_fn(|_| T::default())));
        }
        let at = self.len;
        self[at] = value;
        self.len += 1;
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.chunks.iter().flat_map(|chunk| chunk.iter()).take(self.len)
    }
}

impl<T> Index<usize> for Chunks<T> {
    type Output = T;

    #[inline]
    fn index(&self, at: usize) -> &T {
        &self.chunks[at / CHUNK][at % CHUNK]
    }
}

impl<T: Clone> IndexMut<usize> for Chunks<T> {
    #[inline]
    fn index_mut(&mut self, at: usize) -> &mut T {
        &mut Arc::make_mut(&mut self.chunks[at / CHUNK])[at % CHUNK]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_live_on_apart_and_share_what_neither_changed() {
        let mut one = Chunks::default();
        for n in 0..200u32 {
            one.push(n);
        }
        let mut two = one.clone();
        two[70] = 7;
        one[199] = 9;
        two.push(200);
        assert_eq!((one.len(), two.len()), (200, 201));
        let changed = |n: u32, at: u32, to: u32| if n == at { to } else { n };
        assert!(one.iter().copied().eq((0..200).map(|n| changed(n, 199, 9))));
        assert!(two.iter().copied().eq((0..201).map(|n| changed(n, 70, 7))));
        let shared = one.chunks.iter().zip(&two.chunks).map(|(a, b)| Arc::ptr_eq(a, b));
        assert!(shared.eq([true, false, true, false]));
    }
}
