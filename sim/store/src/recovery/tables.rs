//! What is kept in memory besides pages: names, schema rules and free ids.

use super::{Next, Opening};
use crate::cache::PageKey;
use crate::disk::FileKind;
use crate::error::StoreError;
use crate::io::Pinner;
use crate::meta::Meta;
use crate::page::Page;
use crate::record::{
    Record, SchemaRecord, TokenRecord, is_unused, locate, record_size, records_per_page,
};
use crate::store::{Ledger, Stop, Store};

impl Store {
    pub(super) fn read_tokens(&mut self, opening: &mut Opening) -> Result<Next, StoreError> {
        while opening.token_page < self.counts.logical[FileKind::Tokens as usize] {
            let key = PageKey(FileKind::Tokens, opening.token_page);
            let frame = match self.page(Pinner::RECEIVER, key, &mut Ledger::default()) {
                Ok(frame) => frame,
                Err(Stop::Wait(_)) => return Ok(Next::Wait),
                Err(Stop::Failed(error)) => return Err(error),
            };
            for slot in 0..records_per_page(FileKind::Tokens) {
                let (_, offset) = locate(FileKind::Tokens, slot);
                let body = self.cache.frame(frame).page().body();
                let record = TokenRecord::decode(&body[offset..offset + TokenRecord::SIZE]);
                if record.in_use && !self.tokens.learn(&record) {
                    return Err(StoreError::Inconsistent("the tokens are out of order".into()));
                }
            }
            self.unpin(Pinner::RECEIVER);
            opening.token_page += 1;
        }
        self.high[FileKind::Tokens as usize] = self.tokens.total();
        while opening.schema_page < self.counts.logical[FileKind::Schema as usize] {
            let key = PageKey(FileKind::Schema, opening.schema_page);
            let frame = match self.page(Pinner::RECEIVER, key, &mut Ledger::default()) {
                Ok(frame) => frame,
                Err(Stop::Wait(_)) => return Ok(Next::Wait),
                Err(Stop::Failed(error)) => return Err(error),
            };
            let image = self.cache.frame(frame).page().clone();
            self.learn_schema(key.1, &image);
            self.unpin(Pinner::RECEIVER);
            opening.schema_page += 1;
        }
        Ok(Next::Ready)
    }

    /// Takes over the free ids that a meta page lists.
    pub(crate) fn take_free_ids(&mut self, meta: &Page) {
        for (kind, listed) in FileKind::RECORDS.into_iter().zip(Meta::free_of(meta)) {
            match listed {
                Some(ids) => ids.into_iter().for_each(|id| self.free.put(kind, id)),
                None => self.unlisted.push((kind, 0)),
            }
        }
    }

    /// Looks at all records of the kinds whose free ids are not listed.
    pub(super) fn search_ids(&mut self) -> Result<Next, StoreError> {
        while let Some((kind, page)) = self.unlisted.last().copied() {
            if page >= self.counts.logical[kind as usize] {
                self.unlisted.pop();
                continue;
            }
            let key = PageKey(kind, page);
            let frame = match self.page(Pinner::RECEIVER, key, &mut Ledger::default()) {
                Ok(frame) => frame,
                Err(Stop::Wait(_)) => return Ok(Next::Wait),
                Err(Stop::Failed(error)) => return Err(error),
            };
            let image = self.cache.frame(frame).page().clone();
            self.search_page(kind, page, &image);
            self.unpin(Pinner::RECEIVER);
            self.unlisted.last_mut().expect("looked at").1 += 1;
        }
        Ok(Next::Ready)
    }

    /// Learns the rules of a page of the schema.
    pub(crate) fn learn_schema(&mut self, number: u32, page: &Page) {
        let per_page = records_per_page(FileKind::Schema);
        for slot in 0..per_page {
            let (_, at) = locate(FileKind::Schema, slot);
            let record = SchemaRecord::decode(&page.body()[at..at + SchemaRecord::SIZE]);
            self.schema.learn(u64::from(number) * per_page + slot, record);
        }
    }

    /// Notes the unused records of a page.
    pub(crate) fn search_page(&mut self, kind: FileKind, page: u32, image: &Page) {
        let first = u64::from(page) * records_per_page(kind);
        let slots = records_per_page(kind).min(self.high[kind as usize].saturating_sub(first));
        for id in first..first + slots {
            let (_, at) = locate(kind, id);
            if is_unused(kind, &image.body()[at..at + record_size(kind)]) {
                self.free.put(kind, id);
            }
        }
    }
}
