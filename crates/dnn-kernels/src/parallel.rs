//! Work shared out among the threads of a pool, with one copy of rayon's machinery for all of it: what is generic here
//! only cuts work in two, and is small. Nothing is allocated.

use ndarray::iter::{AxisChunksIter, AxisChunksIterMut, AxisIter};
use ndarray::{Ix1, Ix2};
use rayon::join_context;

/// Does both, side by side if another thread takes the second.
///
/// # Examples
/// ```
/// let (sum, product) = dnn_kernels::join(|| 2 + 3, || 2 * 3);
/// assert_eq!((sum, product), (5, 6));
/// ```
pub fn join<A: Send, B: Send>(
    first: impl FnOnce() -> A + Send,
    second: impl FnOnce() -> B + Send,
) -> (A, B) {
    let (mut first, mut second) = (Some(first), Some(second));
    let (mut of_first, mut of_second) = (None, None);
    join_tasks(&mut |_| of_first = first.take().map(|work| work()), &mut |_| {
        of_second = second.take().map(|work| work());
    });
    match (of_first, of_second) {
        (Some(of_first), Some(of_second)) => (of_first, of_second),
        _ => unreachable!("both are done"),
    }
}

/// Does both, each told whether another thread has taken it.
#[inline(never)]
fn join_tasks(first: &mut (dyn FnMut(bool) + Send), second: &mut (dyn FnMut(bool) + Send)) {
    join_context(|context| first(context.migrated()), |context| second(context.migrated()));
}

/// Work in parts that lie one after the other and can be cut between any two of them.
pub trait Parts: Send + Sized {
    /// One of them.
    type Part;

    /// How many there are.
    fn count(&self) -> usize;

    /// The first `at` of them, and the others.
    fn cut(self, at: usize) -> [Self; 2];

    /// One after the other.
    fn in_order(self) -> impl Iterator<Item = Self::Part>;
}

/// Works on all parts, each told its place, in parallel: they are halved, and the halves again, as long as threads take
/// some.
///
/// # Examples
/// ```
/// let (mut doubled, numbers) = ([0; 3], [1, 2, 3]);
/// dnn_kernels::for_each_part(&mut doubled[..], &|place, doubled| *doubled = 2 * numbers[place]);
/// assert_eq!(doubled, [2, 4, 6]);
/// ```
pub fn for_each_part<P: Parts>(parts: P, work: &(dyn Fn(usize, P::Part) + Sync)) {
    halve(parts, 0, Cuts { left: rayon::current_num_threads() }, work);
}

/// How many more times work is cut that no other thread takes.
#[derive(Clone, Copy)]
struct Cuts {
    left: usize,
}

impl Cuts {
    /// For a half that another thread has taken or not.
    fn of_half(self, taken: bool) -> Self {
        let left = self.left / 2;
        if !taken {
            return Self { left };
        }
        // There may be others without work.
        Self { left: 2 * rayon::current_num_threads().max(left / 2) }
    }
}

/// Cuts what is worth it and works on the rest; `first` is the place of the first part.
fn halve<P: Parts>(parts: P, first: usize, cuts: Cuts, work: &(dyn Fn(usize, P::Part) + Sync)) {
    let middle = parts.count() / 2;
    if middle == 0 || cuts.left == 0 {
        return in_order_from(parts, first, work);
    }
    let [left, right] = parts.cut(middle);
    let (mut left, mut right) = (Some(left), Some(right));
    let go = |half: &mut Option<P>, first, taken| {
        if let Some(half) = half.take() {
            halve(half, first, cuts.of_half(taken), work);
        }
    };
    join_tasks(&mut |taken| go(&mut left, first, taken), &mut |taken| {
        go(&mut right, first + middle, taken);
    });
}

/// The same on this thread.
pub(crate) fn each_in_order<P: Parts>(parts: P, work: &(dyn Fn(usize, P::Part) + Sync)) {
    in_order_from(parts, 0, work);
}

fn in_order_from<P: Parts>(parts: P, first: usize, work: &(dyn Fn(usize, P::Part) + Sync)) {
    for (index, part) in parts.in_order().enumerate() {
        work(first + index, part);
    }
}

impl<'a, T: Send> Parts for &'a mut [T] {
    type Part = &'a mut T;

    fn count(&self) -> usize {
        self.len()
    }

    fn cut(self, at: usize) -> [Self; 2] {
        let (left, right) = self.split_at_mut(at);
        [left, right]
    }

    fn in_order(self) -> impl Iterator<Item = Self::Part> {
        self.iter_mut()
    }
}

/// Chunks of a slice, all of one length but the last.
#[derive(Debug)]
pub struct Chunks<'a, T> {
    values: &'a mut [T],
    len: usize,
}

impl<'a, T> Chunks<'a, T> {
    /// Of this length, which is not 0.
    pub fn of(values: &'a mut [T], len: usize) -> Self {
        Self { values, len }
    }
}

impl<'a, T: Send> Parts for Chunks<'a, T> {
    type Part = &'a mut [T];

    fn count(&self) -> usize {
        self.values.len().div_ceil(self.len)
    }

    fn cut(self, at: usize) -> [Self; 2] {
        let Self { values, len } = self;
        let at = values.len().min(at * len);
        let (left, right) = values.split_at_mut(at);
        [Self { values: left, len }, Self { values: right, len }]
    }

    fn in_order(self) -> impl Iterator<Item = Self::Part> {
        self.values.chunks_mut(self.len)
    }
}

/// Parts of two works at the same places, as many as both have.
#[derive(Debug)]
pub struct Pairs<A, B> {
    /// The first of each pair.
    pub first: A,
    /// The second of each.
    pub second: B,
}

impl<A: Parts, B: Parts> Parts for Pairs<A, B> {
    type Part = (A::Part, B::Part);

    fn count(&self) -> usize {
        self.first.count().min(self.second.count())
    }

    fn cut(self, at: usize) -> [Self; 2] {
        let ([first, others], [second, other_seconds]) = (self.first.cut(at), self.second.cut(at));
        [Self { first, second }, Self { first: others, second: other_seconds }]
    }

    fn in_order(self) -> impl Iterator<Item = Self::Part> {
        self.first.in_order().zip(self.second.in_order())
    }
}

/// Iterators over arrays are cut by ndarray.
macro_rules! parts_of_arrays {
    ($($name:ident, $dimension:ty, $bound:ident;)*) => {$(
        impl<'a, T: $bound> Parts for $name<'a, T, $dimension>
        where
            Self: Send,
        {
            type Part = <Self as Iterator>::Item;

            fn count(&self) -> usize {
                self.len()
            }

            fn cut(self, at: usize) -> [Self; 2] {
                let (left, right) = self.split_at(at);
                [left, right]
            }

            fn in_order(self) -> impl Iterator<Item = Self::Part> {
                self
            }
        }
    )*};
}

parts_of_arrays! {
    AxisChunksIter, Ix2, Sync;
    AxisChunksIterMut, Ix2, Send;
    AxisIter, Ix1, Sync;
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array2, Axis};

    #[test]
    fn every_part_is_worked_on_once_at_its_place() {
        for threads in [1, 3] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            for count in [0, 1, 2, 5, 64, 1000] {
                let (mut found, mut chunks) = (vec![0; count], vec![0; 3 * count]);
                chunks.pop();
                let mut columns = Array2::zeros((2, 2 * count));
                let expected = Array2::from_shape_fn((2, 2 * count), |(_, column)| column / 2);
                pool.install(|| {
                    let first = &mut found[..];
                    let parts = Pairs { first, second: Chunks::of(&mut chunks, 3) };
                    for_each_part(parts, &|place, (found, chunk)| {
                        *found += place;
                        for it in chunk {
                            *it += place;
                        }
                    });
                    let columns = columns.axis_chunks_iter_mut(Axis(1), 2);
                    for_each_part(columns, &|place, mut columns| columns += place);
                });
                assert!(found.iter().enumerate().all(|(place, &found)| found == place));
                assert!(chunks.iter().enumerate().all(|(index, &chunk)| chunk == index / 3));
                assert_eq!(columns, expected);
            }
        }
    }

    #[test]
    fn pairs_end_with_the_shorter_work() {
        let (mut long, mut short) = ([0; 9], [0; 4]);
        let parts = Pairs { first: &mut long[..], second: &mut short[..] };
        for_each_part(parts, &|_, (long, short)| (*long, *short) = (1, 1));
        assert_eq!((long.iter().sum::<i32>(), short.iter().sum::<i32>()), (4, 4));
    }

    #[test]
    #[should_panic(expected = "as planned")]
    fn a_panic_of_one_is_the_panic_of_both() {
        join(|| (), || panic!("as planned"));
    }
}
