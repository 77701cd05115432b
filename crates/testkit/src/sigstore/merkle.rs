//! The tree of a transparency log (RFC 6962 §2.1): it grows, and proves that an entry is in it.

use super::sha256;

/// Leaf hashes in the order they came.
#[derive(Clone, Default)]
pub struct Tree(Vec<[u8; 32]>);

impl Tree {
    /// Adds a leaf; returns its index.
    pub fn append(&mut self, data: &[u8]) -> u64 {
        self.0.push(sha256(&[&[0], data].concat()));
        self.size() - 1
    }

    /// How many leaves there are.
    pub fn size(&self) -> u64 {
        self.0.len() as u64
    }

    /// The root of the first `size` leaves.
    ///
    /// # Panics
    /// There are fewer.
    pub fn root(&self, size: u64) -> [u8; 32] {
        root(self.first(size))
    }

    /// The path from leaf `index` to the root of the first `size` leaves.
    ///
    /// # Panics
    /// There are fewer leaves, or the leaf is not among them.
    pub fn proof(&self, index: u64, size: u64) -> Vec<[u8; 32]> {
        let leaves = self.first(size);
        let index = usize::try_from(index).expect("a leaf in memory");
        assert!(index < leaves.len(), "leaf {index} is not in a tree of {size}");
        path(index, leaves)
    }

    fn first(&self, size: u64) -> &[[u8; 32]] {
        &self.0[..usize::try_from(size).expect("a tree in memory")]
    }
}

fn root(leaves: &[[u8; 32]]) -> [u8; 32] {
    match leaves {
        [] => sha256(&[]),
        [leaf] => *leaf,
        _ => {
            let (left, right) = leaves.split_at(split(leaves.len()));
            parent(&root(left), &root(right))
        }
    }
}

fn path(index: usize, leaves: &[[u8; 32]]) -> Vec<[u8; 32]> {
    if leaves.len() == 1 {
        return Vec::new();
    }
    let (left, right) = leaves.split_at(split(leaves.len()));
    let (mut path, sibling) = if index < left.len() {
        (path(index, left), root(right))
    } else {
        (path(index - left.len(), right), root(left))
    };
    path.push(sibling);
    path
}

fn parent(left: &[u8; 32], right: &[u8; 32]) -> [u8; 32] {
    sha256(&[&[1], &left[..], &right[..]].concat())
}

/// The largest power of two below `count`.
fn split(count: usize) -> usize {
    1 << (count - 1).ilog2()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 9162 §2.1.3.2, which walks up from the leaf and so shares nothing with the code above.
    fn accepts(leaf: [u8; 32], index: u64, size: u64, proof: &[[u8; 32]], root: [u8; 32]) -> bool {
        let (mut fn_, mut sn, mut hash) = (index, size - 1, leaf);
        for sibling in proof {
            if sn == 0 {
                return false;
            }
            if fn_ & 1 == 1 || fn_ == sn {
                hash = parent(sibling, &hash);
                while fn_ & 1 == 0 && fn_ != 0 {
                    fn_ >>= 1;
                    sn >>= 1;
                }
            } else {
                hash = parent(&hash, sibling);
            }
            fn_ >>= 1;
            sn >>= 1;
        }
        sn == 0 && hash == root
    }

    #[test]
    fn every_leaf_of_every_tree_proves_and_no_other_does() {
        let mut tree = Tree::default();
        for index in 0..20_u8 {
            assert_eq!(tree.append(&[index]), u64::from(index));
        }
        for size in 1..=20 {
            for index in 0..size {
                let leaf = tree.0[usize::try_from(index).unwrap()];
                let (proof, root) = (tree.proof(index, size), tree.root(size));
                assert!(accepts(leaf, index, size, &proof, root), "leaf {index} of {size}");
                assert!(!accepts(sha256(b"other"), index, size, &proof, root));
            }
        }
    }
}
