// SPDX-License-Identifier: Apache-2.0
//! From the text of a pattern to its tokens, in one pass.

use super::error::{PatternError, PatternErrorKind as Kind};
use super::pattern::{ByteSet, MAX_DEPTH, MAX_TEXT, Token};

/// Parses a path pattern into its literal prefix and the tokens after it.
pub(super) fn path(text: &str) -> Result<(Vec<u8>, Vec<Token>), PatternError> {
    let bytes = text.as_bytes();
    match bytes.first() {
        None => return Err(error(0, 0, Kind::Empty)),
        Some(b'/') => {}
        Some(_) => return Err(error(0, 1, Kind::NotAbsolute)),
    }
    if bytes.len() == 1 {
        return Ok((b"/".to_vec(), Vec::new()));
    }
    let mut parser = Parser::new(bytes, Dialect::Path)?;
    parser.at = 1;
    let tokens = parser.sequence(0)?;
    parser.end_component(Kind::TrailingSlash)?;
    Ok(split(tokens))
}

/// Parses a pattern of an abstract name.
pub(super) fn name(text: &str) -> Result<Vec<Token>, PatternError> {
    Parser::new(text.as_bytes(), Dialect::Name)?.sequence(0)
}

/// Splits after the last slash that only plain bytes precede.
fn split(tokens: Vec<Token>) -> (Vec<u8>, Vec<Token>) {
    let plain = tokens.iter().position(|token| !matches!(token, Token::Byte(_)));
    let end = match plain {
        None => tokens.len(),
        Some(end) => tokens[..end].iter().rposition(|t| *t == Token::Byte(b'/')).unwrap_or(0),
    };
    let mut prefix = vec![b'/'];
    prefix.extend(tokens[..end].iter().filter_map(|token| match token {
        Token::Byte(byte) => Some(*byte),
        _ => None,
    }));
    let skip = usize::from(matches!(tokens.get(end), Some(Token::Byte(b'/'))));
    (prefix, tokens.into_iter().skip(end + skip).collect())
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Dialect {
    Path,
    Name,
}

/// What the component that is being read can be so far, over all alternatives: a set of bits, so
/// that braces cost nothing (`{a,b}{c,d}…` names exponentially many texts).
#[derive(Clone, Copy)]
struct Component(u8);

impl Component {
    const NOTHING: u8 = 1;
    const DOT: u8 = 2;
    const DOT_DOT: u8 = 4;
    const OTHER: u8 = 8;

    fn push(self, byte: u8) -> Self {
        if byte != b'.' {
            return Self(Self::OTHER);
        }
        let mut next = 0;
        for (from, to) in [
            (Self::NOTHING, Self::DOT),
            (Self::DOT, Self::DOT_DOT),
            (Self::DOT_DOT, Self::OTHER),
            (Self::OTHER, Self::OTHER),
        ] {
            if self.0 & from != 0 {
                next |= to;
            }
        }
        Self(next)
    }
}

struct Parser<'a> {
    text: &'a [u8],
    at: usize,
    dialect: Dialect,
    component: Component,
    component_start: usize,
}

impl<'a> Parser<'a> {
    fn new(text: &'a [u8], dialect: Dialect) -> Result<Self, PatternError> {
        if text.len() > MAX_TEXT {
            return Err(error(MAX_TEXT, text.len() - MAX_TEXT, Kind::TooLong));
        }
        let component = Component(Component::NOTHING);
        Ok(Self { text, at: 0, dialect, component, component_start: 1 })
    }

    /// Tokens up to the end, or inside braces up to the `,` or `}` that ends the alternative.
    fn sequence(&mut self, depth: usize) -> Result<Vec<Token>, PatternError> {
        let mut tokens = Vec::new();
        while let Some(&byte) = self.text.get(self.at) {
            match byte {
                b',' | b'}' if depth > 0 => break,
                b'}' => return Err(error(self.at, 1, Kind::UnopenedBrace)),
                _ => tokens.push(self.token(byte, depth)?),
            }
        }
        Ok(tokens)
    }

    fn token(&mut self, byte: u8, depth: usize) -> Result<Token, PatternError> {
        match byte {
            b'*' => self.stars(),
            b'?' => {
                self.at += 1;
                self.component = Component(Component::OTHER);
                Ok(Token::Class(self.any()))
            }
            b'[' => self.class(),
            b'{' => self.alternatives(depth),
            b'\\' => {
                let byte = self.escape()?;
                self.plain(byte)
            }
            _ => {
                self.at += 1;
                self.plain(byte)
            }
        }
    }

    /// A byte that stands for itself; `self.at` is already behind it.
    fn plain(&mut self, byte: u8) -> Result<Token, PatternError> {
        if self.dialect == Dialect::Path {
            match byte {
                0 => return Err(error(self.at - 1, 1, Kind::Nul)),
                b'/' => {
                    self.end_component(Kind::EmptyComponent)?;
                    self.component = Component(Component::NOTHING);
                    self.component_start = self.at;
                }
                _ => self.component = self.component.push(byte),
            }
        }
        Ok(Token::Byte(byte))
    }

    fn end_component(&self, empty: Kind) -> Result<(), PatternError> {
        let (start, end) = (self.component_start, self.at.max(1));
        let slash = usize::from(self.text.get(end - 1) == Some(&b'/') && end > start);
        let len = (end - start - slash).max(1);
        for (bit, kind) in
            [(Component::DOT, Kind::DotComponent), (Component::DOT_DOT, Kind::DotDotComponent)]
        {
            if self.component.0 & bit != 0 {
                return Err(error(start, len, kind));
            }
        }
        if self.component.0 & Component::NOTHING != 0 {
            return Err(error(end - 1, 1, empty));
        }
        Ok(())
    }

    fn stars(&mut self) -> Result<Token, PatternError> {
        let start = self.at;
        let count = self.text[start..].iter().take_while(|&&byte| byte == b'*').count();
        if count > 2 {
            return Err(error(start, count, Kind::TooManyStars));
        }
        self.at += count;
        let whole = self.component.0 == Component::NOTHING;
        self.component = Component(Component::OTHER);
        if self.dialect == Dialect::Name {
            return Ok(Token::DeepStar);
        }
        if count == 1 {
            return Ok(Token::Star);
        }
        match self.text.get(self.at) {
            // `/**/`: the slash belongs to the token, so that no component at all is matched too.
            Some(b'/') if whole => {
                self.at += 1;
                self.component = Component(Component::NOTHING);
                self.component_start = self.at;
                Ok(Token::Components)
            }
            // A final `/**` is everything beneath; so is `/*`, since a match covers what is below.
            None if whole => Ok(Token::Star),
            _ => Ok(Token::DeepStar),
        }
    }

    fn any(&self) -> ByteSet {
        let mut set = ByteSet::default().complement();
        self.within_component(&mut set);
        set
    }

    fn within_component(&self, set: &mut ByteSet) {
        if self.dialect == Dialect::Path {
            set.remove(b'/');
            set.remove(0);
        }
    }

    fn alternatives(&mut self, depth: usize) -> Result<Token, PatternError> {
        let start = self.at;
        if depth >= MAX_DEPTH {
            return Err(error(start, 1, Kind::TooDeep));
        }
        self.at += 1;
        let (before, before_start) = (self.component, self.component_start);
        let mut after = 0;
        let mut alternatives = Vec::new();
        loop {
            (self.component, self.component_start) = (before, before_start);
            alternatives.push(self.sequence(depth + 1)?.into());
            after |= self.component.0;
            match self.text.get(self.at) {
                Some(b',') => self.at += 1,
                Some(_) => break,
                None => return Err(error(start, 1, Kind::UnclosedBrace)),
            }
        }
        self.at += 1;
        self.component = Component(after);
        Ok(Token::Alternatives(alternatives.into()))
    }

    /// `[abc]`, `[a-z]`, `[!a]`, `[^a]`; a `]` right at the start is a member.
    fn class(&mut self) -> Result<Token, PatternError> {
        let start = self.at;
        self.at += 1;
        let negated = matches!(self.text.get(self.at), Some(b'!' | b'^'));
        self.at += usize::from(negated);
        let mut set = ByteSet::default();
        let first = self.at;
        while self.text.get(self.at) != Some(&b']') || self.at == first {
            let (low, high, from) = self.range(start)?;
            if low > high {
                return Err(error(from, self.at - from, Kind::BackwardRange));
            }
            (low..=high).for_each(|byte| set.insert(byte));
        }
        self.at += 1;
        if negated {
            set = set.complement();
        }
        self.within_component(&mut set);
        self.component = Component(Component::OTHER);
        Ok(Token::Class(set))
    }

    fn range(&mut self, class: usize) -> Result<(u8, u8, usize), PatternError> {
        let from = self.at;
        let low = self.member(class)?;
        let is_range = self.text.get(self.at) == Some(&b'-')
            && self.text.get(self.at + 1).is_some_and(|&byte| byte != b']');
        if !is_range {
            return Ok((low, low, from));
        }
        self.at += 1;
        Ok((low, self.member(class)?, from))
    }

    fn member(&mut self, class: usize) -> Result<u8, PatternError> {
        let at = self.at;
        let Some(&byte) = self.text.get(at) else {
            return Err(error(class, 1, Kind::UnclosedClass));
        };
        match byte {
            b'\\' => return self.escape(),
            b'/' if self.dialect == Dialect::Path => {
                return Err(error(at, 1, Kind::SlashInClass));
            }
            b'[' if matches!(self.text.get(at + 1), Some(b':' | b'.' | b'=')) => {
                return Err(error(at, 2, Kind::NamedClass));
            }
            0 if self.dialect == Dialect::Path => return Err(error(at, 1, Kind::Nul)),
            0x80.. => return Err(error(at, 1, Kind::ClassNotAscii)),
            _ => {}
        }
        self.at += 1;
        Ok(byte)
    }

    fn escape(&mut self) -> Result<u8, PatternError> {
        let start = self.at;
        let bad = |len| error(start, len, Kind::BadEscape);
        match self.text.get(start + 1) {
            Some(&byte) if b"*?[]{},\\-!^@".contains(&byte) => {
                self.at += 2;
                Ok(byte)
            }
            Some(b'x') => {
                let digit = |at: usize| {
                    let digit = char::from(*self.text.get(at)?).to_digit(16)?;
                    u8::try_from(digit).ok()
                };
                let (Some(high), Some(low)) = (digit(start + 2), digit(start + 3)) else {
                    return Err(bad((self.text.len() - start).min(4)));
                };
                let byte = high << 4 | low;
                if self.dialect == Dialect::Path && matches!(byte, 0 | b'/') {
                    return Err(if byte == 0 { error(start, 4, Kind::Nul) } else { bad(4) });
                }
                self.at += 4;
                Ok(byte)
            }
            following => Err(bad(1 + usize::from(following.is_some()))),
        }
    }
}

fn error(offset: usize, len: usize, kind: Kind) -> PatternError {
    PatternError { offset, len, kind }
}

#[cfg(test)]
mod tests {
    use super::super::Pattern;
    use super::*;

    fn fails(text: &str, kind: Kind, offset: usize, len: usize) {
        assert_eq!(Pattern::parse(text), Err(error(offset, len, kind)), "{text:?}");
    }

    fn parses(text: &str, prefix: &str, tail: usize) {
        let pattern = Pattern::parse(text).unwrap();
        assert_eq!(pattern.literal_prefix(), prefix.as_bytes(), "{text}");
        assert_eq!(pattern.tail().len(), tail, "{text}: {:?}", pattern.tail());
    }

    #[test]
    fn literals_have_no_tail() {
        parses("/", "/", 0);
        parses("/etc/passwd", "/etc/passwd", 0);
        parses(r"/a\*b\x2ac", "/a*b*c", 0);
        parses("/...", "/...", 0);
        parses("/a,b", "/a,b", 0);
    }

    #[test]
    fn the_literal_prefix_ends_at_the_directory_above_the_first_wildcard() {
        parses("/srv/data/**/*.key", "/srv/data", 6);
        parses("/run/app-*", "/run", 5);
        parses("/*", "/", 1);
        parses("/**", "/", 1);
        parses("/a/{b,c}/d", "/a", 3);
        parses("/a/b?", "/a", 2);
    }

    #[test]
    fn errors_point_at_what_is_wrong() {
        fails("", Kind::Empty, 0, 0);
        fails("etc", Kind::NotAbsolute, 0, 1);
        fails("/a//b", Kind::EmptyComponent, 3, 1);
        fails("//", Kind::EmptyComponent, 1, 1);
        fails("/a/", Kind::TrailingSlash, 2, 1);
        fails("/a/./b", Kind::DotComponent, 3, 1);
        fails("/a/..", Kind::DotDotComponent, 3, 2);
        fails("/..", Kind::DotDotComponent, 1, 2);
        fails("/a\0", Kind::Nul, 2, 1);
        fails(r"/a\x00", Kind::Nul, 2, 4);
        fails(r"/a\x2f", Kind::BadEscape, 2, 4);
        fails("/a***", Kind::TooManyStars, 2, 3);
        fails("/a[b", Kind::UnclosedClass, 2, 1);
        fails("/a[", Kind::UnclosedClass, 2, 1);
        fails("/a[z-a]", Kind::BackwardRange, 3, 3);
        fails("/a[é]", Kind::ClassNotAscii, 3, 1);
        fails("/a[[:alpha:]]", Kind::NamedClass, 3, 2);
        fails("/a[b/c]", Kind::SlashInClass, 4, 1);
        fails("/a{b,c", Kind::UnclosedBrace, 2, 1);
        fails("/a}", Kind::UnopenedBrace, 2, 1);
        fails(r"/a\q", Kind::BadEscape, 2, 2);
        fails(r"/a\", Kind::BadEscape, 2, 1);
        fails(&format!("/{}", "a".repeat(8192)), Kind::TooLong, 8192, 1);
        fails(&format!("/{}", "{".repeat(17)), Kind::TooDeep, 17, 1);
    }

    #[test]
    fn dots_and_empty_components_are_found_inside_braces() {
        fails("/a/{.,b}/c", Kind::DotComponent, 3, 5);
        fails("/a/{,b}/c", Kind::EmptyComponent, 7, 1);
        fails("/a/.{.,b}", Kind::DotDotComponent, 3, 6);
        fails("/a/{b/,c}/d", Kind::EmptyComponent, 9, 1);
        parses("/a/b{.,..}/c", "/a", 4);
        parses("/a/.{a,b}", "/a", 2);
        parses("/a/{,.}.b", "/a", 3);
    }

    #[test]
    fn a_name_pattern_takes_what_a_path_may_not() {
        for text in ["", "a//b/..", "*", r"a\x00b", "{a,b}", "[/]"] {
            assert!(name(text).is_ok(), "{text}");
        }
        assert_eq!(name("*").unwrap(), [Token::DeepStar]);
        assert!(name("a***").is_err());
    }

    #[test]
    fn escaping_names_exactly_the_path() {
        let bytes = b"/a*b/[c]/\xff\n{,}\\";
        let path = super::super::AbsPath::new(bytes).unwrap();
        let pattern = Pattern::of_path(&path);
        assert_eq!(Pattern::parse(pattern.text()).unwrap().literal(), Some(&bytes[..]));
    }
}
