//! Table of what a directory stands at: one row for each combination that matters.
//!
//! Must not know: the disk.

use super::*;
use crate::log::chunk::{ChunkHeader, Previous};
use crate::opened::Opened;
use crate::scan::ChunkFile;
use crate::seal::{Manifest, SealedFile};

const CLUSTER: Uuid = Uuid::from_u128(1);
const MEMBER: Uuid = Uuid::from_u128(2);

fn chunk_id(number: u64, generation: u64) -> ChunkId {
    ChunkId { number, generation }
}

fn scan() -> Scan {
    let identity = Identity { founding: Some(CLUSTER), member: MEMBER, ..Identity::fresh("v".to_owned()) };
    Scan {
        dir: PathBuf::from("/s"),
        identity: Ok(Some(identity)),
        boot: Ok(9),
        founding: Ok(None),
        founded: Ok(None),
        opened: Vec::new(),
        seals: Vec::new(),
        chunks: Vec::new(),
        epochs: Vec::new(),
        backup: Ok(None),
        data_names: vec!["opened-1".to_owned()],
        healed: Vec::new(),
    }
}

fn opened(scan: &mut Scan, generation: u64) {
    scan.opened.push((generation, Ok(Opened { founding: CLUSTER, member: MEMBER, generation })));
}

fn chunk(scan: &mut Scan, id: ChunkId, previous: Option<(ChunkId, u64)>, floor: ChunkId, after_seal: u64) {
    let previous = previous.map(|(id, length)| Previous { id, length });
    let header = ChunkHeader {
        founding: CLUSTER,
        member: MEMBER,
        id,
        file_id: 1,
        boot: 3,
        after_seal,
        previous,
        floor,
        first_bytes: 0,
    };
    let path = crate::layout::chunk(&scan.dir, id.generation, id.number);
    scan.chunks.push(ChunkFile { id, path, length: 100, header: Ok(header) });
}

fn seal(scan: &mut Scan, generation: u64, number: u64, chunks: &[(ChunkId, u64)]) {
    let file = |(id, length): &(ChunkId, u64)| SealedFile {
        name: format!("data/gen-{}/log-{}.jl", id.generation, id.number),
        length: *length,
        digest: String::new(),
        chunk: Some(*id),
    };
    let manifest = Manifest {
        founding: CLUSTER,
        incarnation: 0,
        member: MEMBER,
        generation,
        number,
        operation: "op".to_owned(),
        attempt: 1,
        boot: 3,
        files: chunks.iter().map(file).collect(),
        partitions: Vec::new(),
        plan: crate::log::plan::Plan::default(),
        spaces: Vec::new(),
        entries: 0,
        bytes: 0,
        machine_index: 0,
        machine_digest: String::new(),
        roster_digest: String::new(),
    };
    scan.seals.push((generation, number, Ok(SealSummary { manifest, machine: Vec::new(), digest: "d".to_owned() })));
}

/// One line per outcome: what it stands at and the chain, or the kind of refusal.
fn outcome(scan: &Scan) -> String {
    match resolve(scan) {
        Err(reason) => format!("{reason:?}").split([' ', '{']).next().unwrap_or_default().to_owned(),
        Ok(found) => {
            let stands = match found.contents {
                Contents::Blank => "blank".to_owned(),
                Contents::Founding(_) => "founding".to_owned(),
                Contents::Sealed(seal) => format!("sealed {}", seal.manifest.number),
                Contents::Unsealed { generation, .. } => format!("unsealed {generation}"),
            };
            let chain: Vec<String> = found
                .chain
                .iter()
                .map(|(id, _, extent)| match extent {
                    Extent::Exactly(length) => format!("{}:{length}", id.number),
                    Extent::Open => format!("{}:open", id.number),
                })
                .collect();
            format!("{stands} [{}]", chain.join(" "))
        }
    }
}

type Build = fn(&mut Scan);

#[test]
fn what_a_directory_stands_at() {
    let (one, two, three) = (chunk_id(1, 1), chunk_id(2, 1), chunk_id(3, 2));
    assert_eq!((one.number, two.number, three.number), (1, 2, 3));
    let table: Vec<(&str, Build)> = vec![
        ("unsealed 0 []", |_| {}),
        ("unsealed 1 []", |s| opened(s, 1)),
        ("unsealed 1 [1:open]", |s| {
            opened(s, 1);
            chunk(s, chunk_id(1, 1), None, chunk_id(1, 1), 0);
        }),
        ("unsealed 1 [1:80 2:open]", |s| {
            opened(s, 1);
            chunk(s, chunk_id(1, 1), None, chunk_id(1, 1), 0);
            chunk(s, chunk_id(2, 1), Some((chunk_id(1, 1), 80)), chunk_id(1, 1), 0);
        }),
        // The floor passed the first chunk, which is only a leftover.
        ("unsealed 1 [2:open]", |s| {
            opened(s, 1);
            chunk(s, chunk_id(1, 1), None, chunk_id(1, 1), 0);
            chunk(s, chunk_id(2, 1), Some((chunk_id(1, 1), 80)), chunk_id(2, 1), 0);
        }),
        // A chunk is missing in the chain.
        ("Missing", |s| {
            opened(s, 1);
            chunk(s, chunk_id(2, 1), Some((chunk_id(1, 1), 80)), chunk_id(1, 1), 0);
        }),
        // A chunk is shorter than the next one says.
        ("Length", |s| {
            opened(s, 1);
            chunk(s, chunk_id(1, 1), None, chunk_id(1, 1), 0);
            chunk(s, chunk_id(2, 1), Some((chunk_id(1, 1), 800)), chunk_id(1, 1), 0);
        }),
        ("sealed 1 [1:100]", |s| {
            opened(s, 1);
            chunk(s, chunk_id(1, 1), None, chunk_id(1, 1), 0);
            seal(s, 1, 1, &[(chunk_id(1, 1), 100)]);
        }),
        // Longer or shorter than sealed.
        ("Length", |s| {
            opened(s, 1);
            chunk(s, chunk_id(1, 1), None, chunk_id(1, 1), 0);
            seal(s, 1, 1, &[(chunk_id(1, 1), 90)]);
        }),
        // Sealed twice: the newer one counts.
        ("sealed 2 [1:100]", |s| {
            opened(s, 1);
            chunk(s, chunk_id(1, 1), None, chunk_id(1, 1), 0);
            seal(s, 1, 1, &[(chunk_id(1, 1), 100)]);
            seal(s, 1, 2, &[(chunk_id(1, 1), 100)]);
        }),
        // The next generation was opened and nothing written yet: the seal is void, its content is the base.
        ("unsealed 2 [1:90]", |s| {
            opened(s, 1);
            opened(s, 2);
            chunk(s, chunk_id(1, 1), None, chunk_id(1, 1), 0);
            seal(s, 1, 1, &[(chunk_id(1, 1), 90)]);
        }),
        ("unsealed 2 [1:90 3:open]", |s| {
            opened(s, 1);
            opened(s, 2);
            chunk(s, chunk_id(1, 1), None, chunk_id(1, 1), 0);
            chunk(s, chunk_id(3, 2), Some((chunk_id(1, 1), 90)), chunk_id(1, 1), 1);
            seal(s, 1, 1, &[(chunk_id(1, 1), 90)]);
        }),
        // Writing went on in the same generation, knowingly: the seal is void.
        ("unsealed 1 [1:90 2:open]", |s| {
            opened(s, 1);
            chunk(s, chunk_id(1, 1), None, chunk_id(1, 1), 0);
            chunk(s, chunk_id(2, 1), Some((chunk_id(1, 1), 90)), chunk_id(1, 1), 1);
            seal(s, 1, 1, &[(chunk_id(1, 1), 90)]);
        }),
        // A chunk that knows nothing of the seal it follows.
        ("Inconsistent", |s| {
            opened(s, 1);
            chunk(s, chunk_id(1, 1), None, chunk_id(1, 1), 0);
            chunk(s, chunk_id(2, 1), Some((chunk_id(1, 1), 100)), chunk_id(1, 1), 0);
            seal(s, 1, 1, &[(chunk_id(1, 1), 100)]);
        }),
        ("OtherGeneration", |s| {
            opened(s, 1);
            chunk(s, chunk_id(3, 2), None, chunk_id(3, 2), 0);
        }),
        ("OtherGeneration", |s| {
            opened(s, 1);
            seal(s, 2, 1, &[]);
        }),
        ("OtherMember", |s| {
            opened(s, 1);
            s.identity = Ok(Some(Identity { founding: Some(CLUSTER), ..Identity::fresh("v".to_owned()) }));
        }),
        ("OtherCluster", |s| {
            opened(s, 1);
            s.identity =
                Ok(Some(Identity { founding: Some(MEMBER), member: MEMBER, ..Identity::fresh("v".to_owned()) }));
        }),
        ("NoIdentity", |s| s.identity = Ok(None)),
        ("blank []", |s| (s.identity, s.data_names) = (Ok(None), Vec::new())),
        // The boot counter went back.
        ("Inconsistent", |s| {
            opened(s, 1);
            chunk(s, chunk_id(1, 1), None, chunk_id(1, 1), 0);
            s.boot = Ok(2);
        }),
        ("founding []", |s| {
            s.identity = Ok(Some(Identity::fresh("v".to_owned())));
            s.founding = Ok(Some(Founding { id: CLUSTER, list_digest: "l".to_owned() }));
        }),
        // Data of a cluster beside an identity that is in none.
        ("Inconsistent", |s| {
            opened(s, 1);
            s.identity = Ok(Some(Identity::fresh("v".to_owned())));
        }),
    ];
    for (row, (expected, build)) in table.into_iter().enumerate() {
        let mut found = scan();
        build(&mut found);
        assert_eq!(outcome(&found), expected, "row {row}");
    }
}
