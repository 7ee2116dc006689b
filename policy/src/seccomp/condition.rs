// SPDX-License-Identifier: Apache-2.0
//! Conditions on the registers of a call, compared at the width that the kernel uses.
//!
//! An `int` argument is what the low half of its register says; whatever a caller leaves in the
//! high half changes neither what the kernel does nor what a rule decides. A value may be written
//! as its sign extension (`0xffffffffffffff9c` is `AT_FDCWD`). Any other value that does not fit
//! is compared as a number, so it equals nothing.

use super::syscall::Width;
use serde::{Deserialize, Serialize};
use std::fmt;

/// How a register is compared; all comparisons are unsigned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Operator {
    /// `SCMP_CMP_EQ`
    Equal(u64),
    /// `SCMP_CMP_NE`
    NotEqual(u64),
    /// `SCMP_CMP_LT`
    Less(u64),
    /// `SCMP_CMP_LE`
    LessOrEqual(u64),
    /// `SCMP_CMP_GT`
    Greater(u64),
    /// `SCMP_CMP_GE`
    GreaterOrEqual(u64),
    /// `SCMP_CMP_MASKED_EQ`: `argument & mask == value & mask`. In OCI, `value` is the mask and
    /// `valueTwo` the value.
    MaskedEqual {
        /// The bits that count.
        mask: u64,
        /// What they must be.
        value: u64,
    },
}

/// One condition of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Condition {
    /// Which argument, 0 to 5.
    pub index: u8,
    /// The comparison.
    pub operator: Operator,
}

impl Operator {
    /// The same comparison for a register of which `width` counts.
    ///
    /// INVARIANT: `self.at(w).holds(x & w.mask())` is what `self` says of register `x`; values of
    /// the result never have sign bits above the width.
    #[must_use]
    pub fn at(self, width: Width) -> Self {
        let fit = |value: u64| narrow(value, width);
        match self {
            Self::Equal(v) => Self::Equal(fit(v)),
            Self::NotEqual(v) => Self::NotEqual(fit(v)),
            Self::Less(v) => Self::Less(fit(v)),
            Self::LessOrEqual(v) => Self::LessOrEqual(fit(v)),
            Self::Greater(v) => Self::Greater(fit(v)),
            Self::GreaterOrEqual(v) => Self::GreaterOrEqual(fit(v)),
            Self::MaskedEqual { mask, value } => {
                let value = value & mask;
                let high = mask & !width.mask();
                if high != 0 && value & high == high && value & sign(width) != 0 {
                    // Mask and value are both written as sign extensions.
                    Self::MaskedEqual { mask: mask & width.mask(), value: value & width.mask() }
                } else if value & high == 0 {
                    Self::MaskedEqual { mask: mask & width.mask(), value }
                } else {
                    Self::MaskedEqual { mask, value }
                }
            }
        }
    }

    /// Whether `argument`, already cut to its width, meets the comparison.
    pub fn holds(self, argument: u64) -> bool {
        match self {
            Self::Equal(v) => argument == v,
            Self::NotEqual(v) => argument != v,
            Self::Less(v) => argument < v,
            Self::LessOrEqual(v) => argument <= v,
            Self::Greater(v) => argument > v,
            Self::GreaterOrEqual(v) => argument >= v,
            Self::MaskedEqual { mask, value } => argument & mask == value & mask,
        }
    }

    /// `Some` if every argument of that width gives the same result.
    pub fn constant(self, width: Width) -> Option<bool> {
        let top = width.mask();
        match self.at(width) {
            Self::Equal(v) => (v > top).then_some(false),
            Self::NotEqual(v) => (v > top).then_some(true),
            Self::Less(0) => Some(false),
            Self::Less(v) => (v > top).then_some(true),
            Self::LessOrEqual(v) => (v >= top).then_some(true),
            Self::Greater(v) => (v >= top).then_some(false),
            Self::GreaterOrEqual(0) => Some(true),
            Self::GreaterOrEqual(v) => (v > top).then_some(false),
            Self::MaskedEqual { mask: 0, .. } => Some(true),
            Self::MaskedEqual { mask, value } => {
                (value & mask & !top != 0).then_some(false).or((mask & top == 0).then_some(true))
            }
        }
    }

    /// The value does not fit the width, so the comparison cannot mean what was written.
    pub fn is_out_of_range(self, width: Width) -> bool {
        match self.at(width) {
            Self::Equal(v)
            | Self::NotEqual(v)
            | Self::Less(v)
            | Self::LessOrEqual(v)
            | Self::Greater(v)
            | Self::GreaterOrEqual(v) => v > width.mask(),
            Self::MaskedEqual { mask, value } => value & mask & !width.mask() != 0,
        }
    }

    /// The arguments next to where the result changes, and the ends of the range.
    pub fn edges(self) -> Vec<u64> {
        match self {
            Self::Equal(v)
            | Self::NotEqual(v)
            | Self::Less(v)
            | Self::LessOrEqual(v)
            | Self::Greater(v)
            | Self::GreaterOrEqual(v) => {
                vec![v, v.wrapping_sub(1), v.wrapping_add(1), v ^ 1 << 32, v ^ 1 << 63]
            }
            Self::MaskedEqual { mask, value } => {
                let hit = value & mask;
                let lowest = mask & mask.wrapping_neg();
                let highest = if mask == 0 { 0 } else { 1 << mask.ilog2() };
                vec![hit, hit | !mask, hit ^ lowest, hit ^ highest, !hit, hit ^ 1 << 32]
            }
        }
    }
}

/// The bits from the sign bit of the width upwards.
fn sign(width: Width) -> u64 {
    match width {
        Width::Bits16 | Width::Bits64 => 0,
        Width::Bits32 => 1 << 31,
    }
}

/// `value` as the kernel's type holds it, where it is in the range of that type.
fn narrow(value: u64, width: Width) -> u64 {
    let extended = match width {
        Width::Bits32 => value >= 0xFFFF_FFFF_8000_0000,
        // umode_t is unsigned and nobody writes it negative.
        Width::Bits16 | Width::Bits64 => false,
    };
    if extended { value & width.mask() } else { value }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let i = self.index;
        match self.operator {
            Operator::Equal(v) => write!(f, "arg{i} == {v:#x}"),
            Operator::NotEqual(v) => write!(f, "arg{i} != {v:#x}"),
            Operator::Less(v) => write!(f, "arg{i} < {v:#x}"),
            Operator::LessOrEqual(v) => write!(f, "arg{i} <= {v:#x}"),
            Operator::Greater(v) => write!(f, "arg{i} > {v:#x}"),
            Operator::GreaterOrEqual(v) => write!(f, "arg{i} >= {v:#x}"),
            Operator::MaskedEqual { mask, value } => {
                write!(f, "arg{i} & {mask:#x} == {:#x}", value & mask)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(operator: Operator, width: Width, register: u64) -> bool {
        operator.at(width).holds(register & width.mask())
    }

    #[test]
    fn high_bits_of_an_int_do_not_change_the_result() {
        let tiocsti = Operator::Equal(0x5412);
        assert!(holds(tiocsti, Width::Bits32, 0x1_0000_5412));
        assert!(!holds(tiocsti, Width::Bits64, 0x1_0000_5412));
    }

    #[test]
    fn a_negative_int_may_be_written_either_way() {
        for value in [0xFFFF_FF9C, 0xFFFF_FFFF_FFFF_FF9C] {
            for register in [0xFFFF_FF9C, 0xFFFF_FFFF_FFFF_FF9C] {
                assert!(holds(Operator::Equal(value), Width::Bits32, register));
            }
        }
    }

    #[test]
    fn a_value_that_does_not_fit_equals_nothing_and_is_above_everything() {
        let value = 0x1_0000_5412;
        assert!(Operator::Equal(value).is_out_of_range(Width::Bits32));
        assert_eq!(Operator::Equal(value).constant(Width::Bits32), Some(false));
        assert_eq!(Operator::Less(value).constant(Width::Bits32), Some(true));
        assert_eq!(Operator::Equal(value).constant(Width::Bits64), None);
    }

    #[test]
    fn a_constant_comparison_is_constant_on_its_edges() {
        let values = [0, 1, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF, 1 << 32, 1 << 63, u64::MAX];
        for width in [Width::Bits16, Width::Bits32, Width::Bits64] {
            for v in values {
                for operator in [
                    Operator::Equal(v),
                    Operator::NotEqual(v),
                    Operator::Less(v),
                    Operator::LessOrEqual(v),
                    Operator::Greater(v),
                    Operator::GreaterOrEqual(v),
                    Operator::MaskedEqual { mask: v, value: 1 << 32 },
                    Operator::MaskedEqual { mask: u64::MAX, value: v },
                ] {
                    let mut edges = operator.edges();
                    edges.extend(values);
                    let results: Vec<bool> =
                        edges.iter().map(|edge| holds(operator, width, *edge)).collect();
                    if let Some(constant) = operator.constant(width) {
                        assert!(results.iter().all(|r| *r == constant), "{operator:?} {width:?}");
                    } else {
                        assert!(
                            results.contains(&true) && results.contains(&false),
                            "{operator:?} {width:?}"
                        );
                    }
                }
            }
        }
    }
}
