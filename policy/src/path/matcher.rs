// SPDX-License-Identifier: Apache-2.0
//! A set of patterns, prepared to be asked about many paths.
//!
//! Says the same as [`PatternSet::covering`], for a part of its cost: the children of the trie are
//! one table ([`Children`]), the automaton behind each literal prefix is deterministic ([`Dfa`]),
//! and prefixes with the same tails behind them (`/srv/*/log/*.log` for a thousand services) share it.
//!
//! Guarantees, whatever the path is: looking goes on only as far as some rule can still match; a
//! byte is read once by the trie and once by the automaton of each literal prefix with wildcards
//! behind it that the path is beneath; nothing is allocated as long as few patterns cover the path
//! ([`Covering`]). The number of rules matters by the logarithm in [`Children`] alone. Where tails
//! are so entangled that their automaton would be too large, reading a byte costs at most
//! their states and allocates: that is up to who writes the rules, not to who chooses paths.

use std::collections::BTreeMap;

use super::absolute::AbsPath;
use super::children::{Children, Name};
use super::covering::Covering;
use super::dfa::Dfa;
use super::nfa::{Nfa, Scratch};
use super::set::{Node, PatternId, PatternSet};

/// Patterns that are matched at once.
#[derive(Debug)]
pub struct Matcher {
    nodes: Vec<Place>,
    children: Children,
    regions: Vec<Region>,
    /// The patterns of all regions, by region and by their number in its automaton.
    patterns: Vec<PatternId>,
    automata: Vec<Automaton>,
}

/// What is known of a node of the trie.
#[derive(Clone, Copy, Debug)]
struct Place {
    literal: Option<PatternId>,
    /// The index of the region that begins here.
    region: Option<u32>,
    beneath: Beneath,
}

/// Whether a node has children.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Beneath {
    Nothing,
    Names,
}

/// What is beneath a literal prefix with wildcards behind it.
#[derive(Clone, Copy, Debug)]
struct Region {
    automaton: u32,
    /// Where its patterns begin.
    patterns: u32,
}

/// What matches tails; patterns are numbered from 0.
#[derive(Debug)]
enum Automaton {
    Deterministic(Dfa),
    /// From its first state on.
    Entangled(Nfa),
}

/// Who counts what looking costs.
trait Meter {
    /// A name was looked up, or a byte read by an automaton.
    fn step(&mut self);
}

/// Nobody.
struct Unmetered;

impl Meter for Unmetered {
    fn step(&mut self) {}
}

impl Matcher {
    /// Prepares a set: linear in its size, but for sorting.
    #[must_use]
    pub fn new(set: &PatternSet) -> Self {
        let mut maker = Maker {
            set,
            known: BTreeMap::new(),
            regions: Vec::new(),
            patterns: Vec::new(),
            automata: Vec::new(),
        };
        let nodes = set.nodes.iter().map(|node| maker.place(node)).collect();
        let Maker { regions, patterns, automata, .. } = maker;
        Self { nodes, children: Children::new(&set.nodes), regions, patterns, automata }
    }

    /// The patterns that cover `path`, in ascending order.
    #[must_use]
    pub fn covering(&self, path: &AbsPath) -> Covering {
        self.look(path, &mut Unmetered)
    }

    #[inline]
    fn look(&self, path: &AbsPath, meter: &mut impl Meter) -> Covering {
        let mut found = Covering::default();
        let mut at = PatternSet::ROOT;
        let mut rest = path.as_bytes().get(1..).unwrap_or_default();
        while let Some(place) = self.nodes.get(at as usize) {
            if let Some(literal) = place.literal {
                found.insert(literal);
            }
            if rest.is_empty() {
                break;
            }
            if let Some(region) = place.region {
                self.run(region, rest, &mut found, meter);
            }
            if place.beneath == Beneath::Nothing {
                break;
            }
            meter.step();
            let name = Name::first(rest);
            let Some(child) = self.children.get(at, name) else { break };
            (at, rest) = (child, rest.get(name.bytes.len() + 1..).unwrap_or_default());
        }
        found.sort();
        found
    }

    fn run(&self, region: u32, rest: &[u8], found: &mut Covering, meter: &mut impl Meter) {
        let Some(region) = self.regions.get(region as usize) else { return };
        let patterns = self.patterns.get(region.patterns as usize..).unwrap_or_default();
        let add = |number: PatternId| {
            if let Some(pattern) = patterns.get(number.index()) {
                found.insert(*pattern);
            }
        };
        match self.automata.get(region.automaton as usize) {
            Some(Automaton::Deterministic(dfa)) => dfa.run(rest, add, || meter.step()),
            Some(Automaton::Entangled(nfa)) => {
                nfa.run(Nfa::FIRST, rest, &mut Scratch::default(), add);
            }
            None => {}
        }
    }
}

/// A matcher while it is made.
struct Maker<'a> {
    set: &'a PatternSet,
    /// Which automaton matches what.
    known: BTreeMap<Nfa, u32>,
    regions: Vec<Region>,
    patterns: Vec<PatternId>,
    automata: Vec<Automaton>,
}

impl Maker<'_> {
    fn place(&mut self, node: &Node) -> Place {
        let region = node.tails.map(|start| {
            let (nfa, patterns) = self.set.nfa.part(start);
            let automaton = self.automaton(nfa);
            self.regions.push(Region { automaton, patterns: count(self.patterns.len()) });
            self.patterns.extend(patterns);
            count(self.regions.len() - 1)
        });
        let beneath = if node.children.is_empty() { Beneath::Nothing } else { Beneath::Names };
        Place { literal: node.literal, region, beneath }
    }

    fn automaton(&mut self, nfa: Nfa) -> u32 {
        if let Some(&known) = self.known.get(&nfa) {
            return known;
        }
        let index = count(self.automata.len());
        self.automata.push(match Dfa::new(&nfa) {
            Some(dfa) => Automaton::Deterministic(dfa),
            None => Automaton::Entangled(nfa.clone()),
        });
        self.known.insert(nfa, index);
        index
    }
}

/// INVARIANT: there are fewer patterns than bytes in a policy, which is far shorter than 4 GiB.
fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::super::Pattern;
    use super::super::absolute::MAX_PATH;
    use super::*;

    /// How many steps were done.
    #[derive(Default)]
    struct Steps(usize);

    impl Meter for Steps {
        fn step(&mut self) {
            self.0 += 1;
        }
    }

    fn set(texts: &[String]) -> PatternSet {
        let mut set = PatternSet::default();
        for text in texts {
            set.insert(&Pattern::parse(text).unwrap());
        }
        set
    }

    fn steps(matcher: &Matcher, path: &str) -> usize {
        let mut steps = Steps::default();
        matcher.look(&AbsPath::new(path.as_bytes()).unwrap(), &mut steps);
        steps.0
    }

    fn owned(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    fn services(count: usize) -> Vec<String> {
        let service = |number: usize| match number % 3 {
            0 => format!("/srv/service{number}/data"),
            1 => format!("/srv/service{number}/log/*.log"),
            _ => format!("/srv/**/cache{number}-*"),
        };
        (0..count).map(service).collect()
    }

    #[test]
    fn the_number_of_rules_makes_no_difference_to_the_steps() {
        let [few, many] = [10, 3_000].map(|count| Matcher::new(&set(&services(count))));
        for path in ["/srv/service0/data/x", "/srv/service1/log/a.log", "/srv/x/y/cache2-1/z", "/x"]
        {
            assert_eq!(steps(&few, path), steps(&many, path), "{path}");
        }
    }

    #[test]
    fn the_longest_path_is_read_once_for_each_region_that_it_is_in() {
        let rules = ["/**/a/**/a", "/**/a/**/b", "/a/a/**/aa", "/**/*a*b", "/**/a?/a", "/a/a/a/b"];
        let matcher = Matcher::new(&set(&owned(&rules)));
        assert!(matcher.automata.iter().all(|one| matches!(one, Automaton::Deterministic(_))));
        for part in ["/a", "/aa", "/aabaab", "/b"] {
            let path = part.repeat(MAX_PATH / part.len());
            let (regions, names) = (matcher.regions.len(), 4);
            assert_eq!(regions, 2);
            assert!(steps(&matcher, &path) <= regions * path.len() + names, "{part}");
        }
    }

    #[test]
    fn nothing_is_read_where_nothing_can_match() {
        let matcher = Matcher::new(&set(&owned(&["/a/b", "/c/*.d", "/e/f*/g"])));
        let rest = "/x".repeat(2000);
        assert_eq!(steps(&matcher, &rest), 1);
        assert_eq!(steps(&matcher, &format!("/a/b{rest}")), 2);
        assert!(steps(&matcher, &format!("/c/x.d{rest}")) < 10);
        assert!(steps(&matcher, &format!("/e/fx/x{rest}")) < 10);
    }

    #[test]
    fn directories_with_the_same_tails_share_an_automaton() {
        let logs: Vec<_> =
            (0..50).flat_map(|n| [format!("/a{n}/*.log"), format!("/a{n}/b?")]).collect();
        let matcher = Matcher::new(&set(&logs));
        assert_eq!((matcher.regions.len(), matcher.automata.len()), (50, 1));
    }

    #[test]
    fn what_is_too_entangled_stays_small_and_is_matched_all_the_same() {
        let rule = |number: usize| format!("/d/**/a{number}*/**/*b?????????c{number}");
        let mut rules: Vec<_> = (0..20).map(rule).collect();
        rules.push("/e/*.log".to_owned());
        let set = set(&rules);
        let matcher = Matcher::new(&set);
        let entangled = |one: &&Automaton| matches!(one, Automaton::Entangled(_));
        assert_eq!(matcher.automata.iter().filter(entangled).count(), 1);
        for path in ["/d/a3x/bbbbbbbbbbbbbc3", "/d/x/a13/y/b123456789c13/c", "/d/a1", "/e/x.log"] {
            let path = AbsPath::new(path.as_bytes()).unwrap();
            assert_eq!(matcher.covering(&path).patterns(), set.covering(&path), "{path}");
        }
    }

    #[test]
    fn every_name_is_found_and_no_other() {
        let mut rules: Vec<_> =
            (0..3000).map(|n| format!("/{}", "n".repeat(n % 30) + &n.to_string())).collect();
        rules.extend((0..500).map(|n| format!("/same/{n}/same")));
        let set = set(&rules);
        let matcher = Matcher::new(&set);
        for path in rules
            .iter()
            .flat_map(|rule| [rule.clone(), format!("{rule}x"), format!("{rule}/{rule}")])
        {
            let path = path.replace("//", "/");
            let path = AbsPath::new(path.as_bytes()).unwrap();
            assert_eq!(matcher.covering(&path).patterns(), set.covering(&path), "{path}");
        }
    }
}
