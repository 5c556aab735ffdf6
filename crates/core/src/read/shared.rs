//! What is lent or shared reads like the thing itself.

use std::io;
use std::ops::Deref;
use std::sync::Arc;

use super::{ReadAt, ReadError};
use crate::model::ByteRange;

macro_rules! forward {
    ($pointer:ty) => {
        impl<R: ReadAt + ?Sized> ReadAt for $pointer {
            fn length(&self) -> u64 {
                self.deref().length()
            }

            fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), ReadError> {
                self.deref().read_at(offset, buffer)
            }

            fn read_ready(&self, offset: u64, buffer: &mut [u8]) -> Option<usize> {
                self.deref().read_ready(offset, buffer)
            }

            fn next_data(&self, from: u64) -> io::Result<Option<ByteRange>> {
                self.deref().next_data(from)
            }

            fn will_need(&self, range: ByteRange) {
                self.deref().will_need(range);
            }

            fn done_with(&self, range: ByteRange) {
                self.deref().done_with(range);
            }
        }
    };
}

forward!(&R);
forward!(Arc<R>);
