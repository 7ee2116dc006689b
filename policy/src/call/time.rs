// SPDX-License-Identifier: Apache-2.0
//! Times of files, in the four forms that calls take them in.
//!
//! utimensat(2) knows "now" and "leave as it is"; utimes(2), futimesat(2) and utime(2) know
//! times alone. All become a pair of [`Time`]s, the form of utimensat(2), with which it is performed.

use super::fields::Fields;
use super::layout::{Layout, Pointer, Span};
use crate::policy::Errno;

const UTIME_NOW: i64 = 0x3fff_ffff;
const UTIME_OMIT: i64 = 0x3fff_fffe;

/// How a call lays times out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Two `timespec`s of `long`s: utimensat(2).
    Timespec,
    /// Two `timespec`s of 64 bits whatever the caller's words are: `utimensat_time64`, and what x32
    /// calls utimensat.
    Timespec64,
    /// Two `timeval`s of `long`s: utimes(2), futimesat(2).
    Timeval,
    /// A `struct utimbuf` of `long`s: utime(2).
    Utimbuf,
}

/// One time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Time {
    /// What the clock says.
    Now,
    /// It stays as it is.
    Omit,
    /// A time.
    At {
        /// Since the epoch.
        seconds: i64,
        /// Below a thousand million.
        nanoseconds: u32,
    },
}

/// Of the last access and the last change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// `atime`.
    pub accessed: Time,
    /// `mtime`.
    pub modified: Time,
}

impl Times {
    /// What a null pointer means in all of the calls.
    pub const NOW: Self = Self { accessed: Time::Now, modified: Time::Now };

    /// Whether there is nothing to do: the kernel does not even resolve the path.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        (self.accessed, self.modified) == (Time::Omit, Time::Omit)
    }
}

/// Which bytes to copy; `None`: the times are [`Times::NOW`].
///
/// # Errors
///
/// `EFAULT` where no caller has memory.
pub fn plan(layout: Layout, form: Form, address: Pointer) -> Result<Option<Span>, Errno> {
    if address.is_null() {
        return Ok(None);
    }
    let length = match (form, layout) {
        (Form::Timespec | Form::Timeval, Layout::Bits64) | (Form::Timespec64, _) => 32,
        (Form::Timespec | Form::Timeval, Layout::Bits32) | (Form::Utimbuf, Layout::Bits64) => 16,
        (Form::Utimbuf, Layout::Bits32) => 8,
    };
    Span::new(layout, address, length).map(Some)
}

/// Copied times.
///
/// # Errors
///
/// `EINVAL` for a fraction that is no fraction.
pub fn parse(layout: Layout, form: Form, bytes: &[u8]) -> Result<Times, Errno> {
    let mut fields = Fields::new(bytes);
    let accessed = half(layout, form, &mut fields)?;
    let modified = half(layout, form, &mut fields)?;
    // Both are looked at together: what is left as it is may say what it likes of the seconds.
    Ok(Times { accessed: accessed.time()?, modified: modified.time()? })
}

/// A time as it is written.
struct Written {
    seconds: i64,
    fraction: i64,
    unit: Unit,
}

#[derive(Clone, Copy)]
enum Unit {
    Nanoseconds,
    Microseconds,
}

fn half(layout: Layout, form: Form, fields: &mut Fields<'_>) -> Result<Written, Errno> {
    let (seconds, fraction, unit) = match form {
        Form::Timespec => (fields.signed(layout)?, fields.signed(layout)?, Unit::Nanoseconds),
        Form::Timespec64 => {
            let (seconds, fraction) = (fields.i64()?, fields.i64()?);
            // The upper half is padding of a 32-bit caller.
            let fraction = match layout {
                Layout::Bits64 => fraction,
                Layout::Bits32 => fraction & 0xffff_ffff,
            };
            (seconds, fraction, Unit::Nanoseconds)
        }
        Form::Timeval => (fields.signed(layout)?, fields.signed(layout)?, Unit::Microseconds),
        Form::Utimbuf => (fields.signed(layout)?, 0, Unit::Nanoseconds),
    };
    Ok(Written { seconds, fraction, unit })
}

impl Written {
    fn time(self) -> Result<Time, Errno> {
        let nanoseconds = match (self.unit, self.fraction) {
            (Unit::Nanoseconds, UTIME_NOW) => return Ok(Time::Now),
            (Unit::Nanoseconds, UTIME_OMIT) => return Ok(Time::Omit),
            (Unit::Nanoseconds, fraction @ 0..=999_999_999) => fraction,
            (Unit::Microseconds, fraction @ 0..=999_999) => fraction.saturating_mul(1000),
            _ => return Err(Errno::EINVAL),
        };
        let nanoseconds = u32::try_from(nanoseconds).map_err(|_| Errno::EINVAL)?;
        Ok(Time::At { seconds: self.seconds, nanoseconds })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wide(words: &[i64]) -> Vec<u8> {
        words.iter().flat_map(|word| word.to_ne_bytes()).collect()
    }

    fn short(words: &[i32]) -> Vec<u8> {
        words.iter().flat_map(|word| word.to_ne_bytes()).collect()
    }

    const fn at(seconds: i64, nanoseconds: u32) -> Time {
        Time::At { seconds, nanoseconds }
    }

    #[test]
    fn every_form_is_read_in_both_layouts() {
        let pair = |accessed, modified| Ok(Times { accessed, modified });
        let (long, int) = (Layout::Bits64, Layout::Bits32);
        let (four, fours) = (wide(&[1, 2, -3, 4]), short(&[1, 2, -3, 4]));
        for form in [Form::Timespec, Form::Timespec64] {
            assert_eq!(parse(long, form, &four), pair(at(1, 2), at(-3, 4)), "{form:?}");
        }
        assert_eq!(parse(int, Form::Timespec, &fours), pair(at(1, 2), at(-3, 4)));
        assert_eq!(parse(int, Form::Timespec64, &four), pair(at(1, 2), at(-3, 4)));
        assert_eq!(parse(long, Form::Timeval, &four), pair(at(1, 2000), at(-3, 4000)));
        assert_eq!(parse(int, Form::Timeval, &fours), pair(at(1, 2000), at(-3, 4000)));
        assert_eq!(parse(long, Form::Utimbuf, &wide(&[1, 2])), pair(at(1, 0), at(2, 0)));
        assert_eq!(parse(int, Form::Utimbuf, &short(&[1, 2])), pair(at(1, 0), at(2, 0)));
    }

    #[test]
    fn as_many_bytes_are_read_as_are_planned() {
        for layout in [Layout::Bits64, Layout::Bits32] {
            for form in [Form::Timespec, Form::Timespec64, Form::Timeval, Form::Utimbuf] {
                let span = plan(layout, form, Pointer(4096)).unwrap().unwrap();
                let bytes = vec![0; span.length()];
                assert!(parse(layout, form, &bytes).is_ok());
                assert_eq!(parse(layout, form, &bytes[1..]), Err(Errno::EFAULT));
                assert_eq!(plan(layout, form, Pointer(0)), Ok(None));
            }
        }
    }

    #[test]
    fn now_and_omit_are_known_to_timespecs_alone() {
        let bytes = wide(&[-1, UTIME_NOW, -1, UTIME_OMIT]);
        let times = Times { accessed: Time::Now, modified: Time::Omit };
        assert_eq!(parse(Layout::Bits64, Form::Timespec, &bytes), Ok(times));
        assert_eq!(parse(Layout::Bits64, Form::Timeval, &bytes), Err(Errno::EINVAL));
        assert!(!times.is_nothing());
    }

    #[test]
    fn a_fraction_is_below_one() {
        let fraction = |form, fraction| {
            parse(Layout::Bits64, form, &wide(&[0, fraction, 0, 0])).map(|times| times.accessed)
        };
        assert_eq!(fraction(Form::Timespec, 999_999_999), Ok(at(0, 999_999_999)));
        assert_eq!(fraction(Form::Timeval, 999_999), Ok(at(0, 999_999_000)));
        for wrong in [-1, 1_000_000_000, i64::MIN, i64::MAX] {
            assert_eq!(fraction(Form::Timespec, wrong), Err(Errno::EINVAL), "{wrong}");
            assert_eq!(fraction(Form::Timeval, wrong), Err(Errno::EINVAL), "{wrong}");
        }
        assert_eq!(fraction(Form::Timeval, 1_000_000), Err(Errno::EINVAL));
    }

    #[test]
    fn padding_counts_for_nothing_in_a_32_bit_caller() {
        let bytes = wide(&[0, 1 << 32 | 5, 0, 0]);
        let read = |layout| parse(layout, Form::Timespec64, &bytes).map(|times| times.accessed);
        assert_eq!(read(Layout::Bits32), Ok(at(0, 5)));
        assert_eq!(read(Layout::Bits64), Err(Errno::EINVAL));
    }
}
