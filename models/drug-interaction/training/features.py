"""What the model knows of a structure: two fingerprints and twelve descriptors. `handler.ts` holds the same recipe.

A test compares the two bit by bit, so both sides must run the same RDKit release (see requirements.txt and the
`@rdkit/rdkit` in package.json). Everything is computed from the molecule as RDKit reads it from its canonical SMILES.
"""

import numpy as np
from rdkit import Chem
from rdkit.Chem import Crippen, rdFingerprintGenerator, rdMolDescriptors

BITS = 1024
# Sixteen bits to a float: exact in float32, and a 2,048-bit fingerprint is 128 numbers.
BITS_PER_FLOAT = 16
PACKED = 2 * BITS // BITS_PER_FLOAT

ATOM_PAIRS = rdFingerprintGenerator.GetAtomPairGenerator(fpSize=BITS)
# Paths of up to five bonds: as good here as RDKit's seven, and far less work on large molecules.
PATHS = rdFingerprintGenerator.GetRDKitFPGenerator(fpSize=BITS, maxPath=5)

# By the names that the JavaScript RDKit gives them.
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
WIDTH = len(DESCRIPTORS) + PACKED


def pack(bits):
    """Bits [2048] -> float32 [128]; the first bit is the lowest."""
    words = np.packbits(bits.astype(np.uint8), bitorder='little').view('<u2')
    return words.astype(np.float32)


def unpack(packed):
    """float32 [n,128] -> bits [n,2048] of 0 and 1."""
    words = packed.astype('<u2')
    return np.unpackbits(words.view(np.uint8), axis=1, bitorder='little')


def structure_vector(smiles):
    """float32 [12 descriptors, 128 packed fingerprint words]; all zero when there is no structure."""
    if not smiles:
        return np.zeros(WIDTH, np.float32)
    molecule = Chem.MolFromSmiles(smiles)
    descriptors = np.array([descriptor(molecule) for descriptor in DESCRIPTORS.values()], np.float64)
    bits = np.zeros(2 * BITS, np.uint8)
    bits[list(ATOM_PAIRS.GetFingerprint(molecule).GetOnBits())] = 1
    bits[[BITS + bit for bit in PATHS.GetFingerprint(molecule).GetOnBits()]] = 1
    return np.concatenate([descriptors.astype(np.float32), pack(bits)])


class StructureKernel:
    """Similarity of structures: the mean of two Tanimotos, and a little of a Gaussian over standardised descriptors."""

    def __init__(self, vectors, descriptor_weight=0.2, width=0.25):
        """`vectors` [n, WIDTH]: the structures that others are compared with."""
        self.descriptor_weight = descriptor_weight
        self.width = width
        raw = vectors[:, : len(DESCRIPTORS)].astype(np.float64)
        self.mean, self.scale = raw.mean(axis=0), np.maximum(raw.std(axis=0), 1e-6)
        self.reference = self._parts(vectors)

    def _parts(self, vectors):
        raw = vectors[:, : len(DESCRIPTORS)].astype(np.float64)
        bits = unpack(vectors[:, len(DESCRIPTORS) :]).astype(np.float64)
        return np.clip((raw - self.mean) / self.scale, -3, 3), bits[:, :BITS], bits[:, BITS:]

    def __call__(self, vectors):
        """[m, WIDTH] -> [m, n]. What has no structure (no bit set) is similar to nothing."""
        descriptors, *prints = self._parts(vectors)
        total = 0.0
        for bits, reference in zip(prints, self.reference[1:]):
            common = bits @ reference.T
            either = bits.sum(axis=1)[:, None] + reference.sum(axis=1)[None, :] - common
            total = total + common / np.maximum(either, 1.0)
        apart = ((descriptors[:, None, :] - self.reference[0][None, :, :]) ** 2).mean(axis=2)
        gaussian = np.exp(-self.width * apart)
        present = (prints[0].sum(axis=1) > 0)[:, None]
        return present * ((1 - self.descriptor_weight) * total / 2 + self.descriptor_weight * gaussian)
