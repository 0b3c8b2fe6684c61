"""The features of a structure: two fingerprints, twelve descriptors and six counts of groups.

`handler.ts` computes the same features. A test compares both bit by bit, so both sides must run the same RDKit
release (see requirements.txt and the `@rdkit/rdkit` in package.json). The input of every feature is the molecule
that RDKit reads from the canonical SMILES.
"""

import numpy as np
from rdkit import Chem
from rdkit.Chem import Crippen, rdFingerprintGenerator, rdMolDescriptors

BITS = 1024
# Sixteen bits in each float: exact in float32, and a 2,048-bit fingerprint is 128 numbers.
BITS_PER_FLOAT = 16
PACKED = 2 * BITS // BITS_PER_FLOAT

ATOM_PAIRS = rdFingerprintGenerator.GetAtomPairGenerator(fpSize=BITS)
# Paths of up to five bonds are as good here as RDKit's default of seven, and need far less time for large molecules.
PATHS = rdFingerprintGenerator.GetRDKitFPGenerator(fpSize=BITS, maxPath=5)

# The names come from the JavaScript RDKit.
DESCRIPTORS = {
    'amw': rdMolDescriptors._CalcMolWt,
    'CrippenClogP': Crippen.MolLogP,
    'FractionCSP3': rdMolDescriptors.CalcFractionCSP3,
    'labuteASA': rdMolDescriptors.CalcLabuteASA,
    'NumAromaticRings': rdMolDescriptors.CalcNumAromaticRings,
    'NumHBA': rdMolDescriptors.CalcNumHBA,
    'NumHBD': rdMolDescriptors.CalcNumHBD,
    'NumRings': rdMolDescriptors.CalcNumRings,
    'NumRotatableBonds': rdMolDescriptors.CalcNumRotatableBonds,
    'Phi': rdMolDescriptors.CalcPhi,
    'tpsa': rdMolDescriptors.CalcTPSA,
    'CrippenMR': Crippen.MolMR,
}

# Groups that influence how the body absorbs, binds and metabolizes a drug. A count stops at three.
GROUPS = {
    'basic': '[#7;+,$([N;H2&+0][$([C,a]);!$([C,a](=O))]),'
    '$([N;H1&+0]([$([C,a]);!$([C,a](=O))])[$([C,a]);!$([C,a](=O))]),'
    '$([N;H0&+0]([C;!$(C(=O))])([C;!$(C(=O))])[C;!$(C(=O))])]',
    'acid': '[$([C,S](=[O,S,P])-[O;H1,-1])]',
    'halogen': '[F,Cl,Br,I]',
    'tertiary amine': '[NX3;H0]([CX4])([CX4])[CX4]',
    'secondary amine': '[NX3;H1]([CX4])[CX4]',
    'phenol': 'c[OH]',
}
GROUP_MAX = 3
PATTERNS = [Chem.MolFromSmarts(pattern) for pattern in GROUPS.values()]

NUMBERS = len(DESCRIPTORS) + len(GROUPS)
WIDTH = NUMBERS + PACKED


def pack(bits):
    """Bits [2048] -> float32 [128]; the first bit is the lowest."""
    words = np.packbits(bits.astype(np.uint8), bitorder='little').view('<u2')
    return words.astype(np.float32)


def unpack(packed):
    """float32 [n,128] -> bits [n,2048] of 0 and 1."""
    words = packed.astype('<u2')
    return np.unpackbits(words.view(np.uint8), axis=1, bitorder='little')


def structure_vector(smiles):
    """float32 [12 descriptors, 6 counts, 128 packed fingerprint words]; all zero without a structure."""
    if not smiles:
        return np.zeros(WIDTH, np.float32)
    molecule = Chem.MolFromSmiles(smiles)
    numbers = [descriptor(molecule) for descriptor in DESCRIPTORS.values()]
    numbers += [min(len(molecule.GetSubstructMatches(pattern)), GROUP_MAX) for pattern in PATTERNS]
    bits = np.zeros(2 * BITS, np.uint8)
    bits[list(ATOM_PAIRS.GetFingerprint(molecule).GetOnBits())] = 1
    bits[[BITS + bit for bit in PATHS.GetFingerprint(molecule).GetOnBits()]] = 1
    return np.concatenate([np.array(numbers, np.float64).astype(np.float32), pack(bits)])


class StructureKernel:
    """Similarity of structures: a weighted mean of two Tanimoto similarities and a Gaussian over the standardised
    numbers."""

    def __init__(self, vectors, number_share, number_width):
        """`vectors` [n, WIDTH]: the reference structures."""
        self.number_share = number_share
        self.number_width = number_width
        raw = vectors[:, :NUMBERS].astype(np.float64)
        self.mean, self.scale = raw.mean(axis=0), np.maximum(raw.std(axis=0), 1e-6)
        self.reference = self._parts(vectors)

    def _parts(self, vectors):
        raw = vectors[:, :NUMBERS].astype(np.float64)
        bits = unpack(vectors[:, NUMBERS:]).astype(np.float64)
        return np.clip((raw - self.mean) / self.scale, -3, 3), bits[:, :BITS], bits[:, BITS:]

    def __call__(self, vectors):
        """[m, WIDTH] -> [m, n]. The similarity is 0 for a drug without a structure (no bit set)."""
        numbers, *prints = self._parts(vectors)
        total = 0.0
        for bits, reference in zip(prints, self.reference[1:]):
            common = bits @ reference.T
            either = bits.sum(axis=1)[:, None] + reference.sum(axis=1)[None, :] - common
            total = total + common / np.maximum(either, 1.0)
        apart = ((numbers[:, None, :] - self.reference[0][None, :, :]) ** 2).mean(axis=2)
        gaussian = np.exp(-self.number_width * apart)
        present = (prints[0].sum(axis=1) > 0)[:, None]
        return present * ((1 - self.number_share) * total / 2 + self.number_share * gaussian)
