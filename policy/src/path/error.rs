// SPDX-License-Identifier: Apache-2.0
//! What can be wrong with a pattern, and where.

/// An error in a pattern, with the bytes of its text that a caret should point at.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{kind}")]
pub struct PatternError {
    /// The first byte of the text that is wrong.
    pub offset: usize,
    /// How many bytes are wrong; 0 only at the end of the text.
    pub len: usize,
    /// What is wrong.
    pub kind: PatternErrorKind,
}

/// The kinds of [`PatternError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PatternErrorKind {
    /// The text is empty.
    #[error("a path must not be empty")]
    Empty,
    /// The text does not begin with `/`.
    #[error("a path must be absolute (begin with `/`)")]
    NotAbsolute,
    /// Two slashes follow each other.
    #[error("a path must not have an empty component (`//`)")]
    EmptyComponent,
    /// The last byte is a slash, and it is not the first too.
    #[error("a path must not end with `/`: it names the directory and everything beneath it")]
    TrailingSlash,
    /// A component is `.`.
    #[error("a path must not have a component `.`")]
    DotComponent,
    /// A component is `..`.
    #[error("a path must not have a component `..`")]
    DotDotComponent,
    /// A NUL byte.
    #[error("a path must not contain a NUL byte")]
    Nul,
    /// Three or more stars in a row.
    #[error("at most two `*` may stand together: `*` stays in a component, `**` crosses")]
    TooManyStars,
    /// `[` without its `]`.
    #[error("`[` has no closing `]`")]
    UnclosedClass,
    /// A range in `[...]` that runs backwards.
    #[error("the range runs backwards")]
    BackwardRange,
    /// A byte in `[...]` that is not ASCII: it would be one of several bytes of a character.
    #[error("`[...]` matches one byte, so its members must be ASCII (`{{a,b}}` takes any text)")]
    ClassNotAscii,
    /// `[[:name:]]`.
    #[error("named classes (`[[:alpha:]]`) are not supported: write the ranges")]
    NamedClass,
    /// A slash inside `[...]`, which never crosses components.
    #[error("`[...]` matches within a component and cannot contain `/`")]
    SlashInClass,
    /// `{` without its `}`.
    #[error("`{{` has no closing `}}`")]
    UnclosedBrace,
    /// `}` without its `{`.
    #[error("`}}` has no opening `{{` (write `\\}}` for the character)")]
    UnopenedBrace,
    /// Braces nested deeper than [`super::pattern::MAX_DEPTH`].
    #[error("braces are nested deeper than 16")]
    TooDeep,
    /// A backslash before something that needs none.
    #[error("`\\` must be followed by one of `*?[]{{}},\\` or by `x` and two hexadecimal digits")]
    BadEscape,
    /// Longer than [`super::pattern::MAX_TEXT`].
    #[error("a pattern must not be longer than 8192 bytes")]
    TooLong,
}
