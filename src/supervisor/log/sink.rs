// SPDX-License-Identifier: Apache-2.0
//! Writing lines, one call for each, within a size.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;

use brig_policy::log::{Line, datagram};
use rustix::net::SendFlags;

/// Where lines are written.
#[derive(Debug)]
pub enum Sink {
    /// Two files of the container's own, in turn: when one is full the other begins anew.
    Halves {
        /// The files.
        files: [Tracked; 2],
        /// Which one is written.
        current: usize,
        /// How large one becomes.
        most: u64,
    },
    /// A file that others write, too.
    Shared {
        /// The file.
        file: Tracked,
        /// How large it becomes.
        most: u64,
    },
    /// The system's journal.
    Journal(File),
}

/// A file that is appended to.
#[derive(Debug)]
pub struct Tracked {
    file: File,
    /// What has been written into it.
    size: u64,
    /// Whether its last line is not whole.
    torn: bool,
}

impl Sink {
    /// Two files, of `most` bytes together.
    pub fn halves(files: [File; 2], most: u64) -> Self {
        Self::Halves { files: files.map(Tracked::new), current: 0, most: most / 2 }
    }

    /// A file of at most `most` bytes.
    pub fn shared(file: File, most: u64) -> Self {
        Self::Shared { file: Tracked::new(file), most }
    }

    /// The system's journal.
    pub fn journal(socket: File) -> Self {
        Self::Journal(socket)
    }

    /// Writes a line.
    ///
    /// # Errors
    /// It has not been written, or not as a whole.
    pub fn put(&mut self, line: &Line) -> io::Result<()> {
        match self {
            Self::Halves { files, current, most } => {
                let text = text(line);
                if text.len() as u64 > *most {
                    return Err(io::ErrorKind::FileTooLarge.into());
                }
                if files[*current].size + text.len() as u64 > *most {
                    *current = 1 - *current;
                    files[*current].empty()?;
                }
                files[*current].append(&text)
            }
            Self::Shared { file, most } => {
                let text = text(line);
                if file.file.metadata()?.len() + text.len() as u64 > *most {
                    return Err(io::ErrorKind::FileTooLarge.into());
                }
                file.append(&text)
            }
            Self::Journal(socket) => {
                let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
                rustix::net::send(socket.as_fd(), &datagram(line), flags)?;
                Ok(())
            }
        }
    }
}

fn text(line: &Line) -> Vec<u8> {
    let mut text = line.to_json().into_bytes();
    text.push(b'\n');
    text
}

impl Tracked {
    fn new(file: File) -> Self {
        Self { file, size: 0, torn: false }
    }

    fn empty(&mut self) -> io::Result<()> {
        self.file.set_len(0)?;
        (self.size, self.torn) = (0, false);
        Ok(())
    }

    /// By one call, so that what others append does not come in between.
    fn append(&mut self, text: &[u8]) -> io::Result<()> {
        let written = if self.torn {
            let whole = [b"\n".as_slice(), text].concat();
            self.file.write(&whole).map(|written| (written, whole.len()))?
        } else {
            self.file.write(text).map(|written| (written, text.len()))?
        };
        let (written, length) = written;
        self.size += written as u64;
        if written == length {
            self.torn = false;
            return Ok(());
        }
        self.torn = self.torn || written > 0;
        Err(io::ErrorKind::WriteZero.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    fn read(mut file: &File) -> String {
        let mut text = String::new();
        file.read_to_string(&mut text).unwrap();
        text
    }

    fn files(directory: &tempfile::TempDir) -> [File; 2] {
        ["a", "b"].map(|name| {
            let mut options = File::options();
            options.create(true).append(true).open(directory.path().join(name)).unwrap()
        })
    }

    fn line(number: u64) -> Line {
        Line::lost("now", "c", number)
    }

    #[test]
    fn when_one_half_is_full_the_other_begins_anew() {
        let directory = tempfile::tempdir().unwrap();
        let mut sink = Sink::halves(files(&directory), 300);
        let mut total = 0;
        for number in 10..99 {
            sink.put(&line(number)).unwrap();
            let size = |name| std::fs::metadata(directory.path().join(name)).unwrap().len();
            assert!(size("a") <= 150 && size("b") <= 150, "{number}");
            total = size("a") + size("b");
        }
        assert!(total > 100, "{total}");
        let whole = ["a", "b"].map(|name| read(&File::open(directory.path().join(name)).unwrap()));
        let last = line(98).to_json();
        assert!(whole.iter().any(|text| text.contains(&last)), "{whole:?}");
        assert!(whole.iter().flat_map(|text| text.lines()).all(|one| Line::parse(one).is_some()));
    }

    #[test]
    fn a_shared_file_is_not_written_beyond_its_size_and_not_emptied() {
        let directory = tempfile::tempdir().unwrap();
        let [file, other] = files(&directory);
        let mut sink = Sink::shared(file, 100);
        drop(other);
        sink.put(&line(10)).unwrap();
        sink.put(&line(11)).unwrap();
        assert!(sink.put(&line(12)).is_err());
        let text = read(&File::open(directory.path().join("a")).unwrap());
        assert_eq!(text, format!("{}\n{}\n", line(10).to_json(), line(11).to_json()));
    }

    #[test]
    fn a_line_that_is_larger_than_a_half_is_not_written() {
        let directory = tempfile::tempdir().unwrap();
        let mut sink = Sink::halves(files(&directory), 40);
        assert!(sink.put(&line(1)).is_err());
    }

    #[test]
    fn after_a_torn_line_the_next_one_is_whole() {
        let directory = tempfile::tempdir().unwrap();
        let [file, _] = files(&directory);
        let mut tracked = Tracked { torn: true, ..Tracked::new(file) };
        tracked.append(b"{}\n").unwrap();
        assert_eq!((tracked.torn, tracked.size), (false, 4));
        let text = read(&File::open(directory.path().join("a")).unwrap());
        assert_eq!(text, "\n{}\n");
    }
}
