"""Makes the Hugging Face folders of the tests, and the outputs of transformers for some texts.

The models have random weights, and their tokenizers are trained on sentences.json. `python make_models.py` needs torch, transformers,
tokenizers and onnx, and writes models/ and expected.json beside this file.
"""
import json, os, random, sys, warnings
warnings.filterwarnings("ignore")
import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers, decoders
from transformers import (BertConfig, BertModel, BertForSequenceClassification, BertForTokenClassification,
    PreTrainedTokenizerFast, RobertaConfig, RobertaForMaskedLM, XLMRobertaConfig, XLMRobertaForSequenceClassification)

HERE = os.path.dirname(os.path.abspath(__file__))
OUT = os.path.join(HERE, "models")
SENTENCES = json.load(open(os.path.join(HERE, "sentences.json"), encoding="utf8"))
CORPUS = [s for group in SENTENCES.values() for s in group]
torch.manual_seed(7)
MODELS = {}

def specials(*names): return list(names)

def wordpiece(lowercase):
    t = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    t.normalizer = normalizers.BertNormalizer(lowercase=lowercase)
    t.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    t.train_from_iterator(CORPUS, trainers.WordPieceTrainer(vocab_size=900, special_tokens=specials("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"), limit_alphabet=400))
    cls, sep = t.token_to_id("[CLS]"), t.token_to_id("[SEP]")
    t.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", cls), ("[SEP]", sep)])
    t.decoder = decoders.WordPiece()
    return PreTrainedTokenizerFast(tokenizer_object=t, unk_token="[UNK]", pad_token="[PAD]", cls_token="[CLS]", sep_token="[SEP]", mask_token="[MASK]", model_max_length=64), "BertTokenizer"

def bytebpe():
    t = Tokenizer(models.BPE())
    t.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    t.train_from_iterator(CORPUS, trainers.BpeTrainer(vocab_size=900, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), special_tokens=specials("<s>", "<pad>", "</s>", "<unk>", "<mask>")))
    t.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), trim_offsets=True, add_prefix_space=False)
    t.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=t, bos_token="<s>", eos_token="</s>", cls_token="<s>", sep_token="</s>", unk_token="<unk>", pad_token="<pad>", mask_token="<mask>", model_max_length=64), "RobertaTokenizer"

def unigram():
    t = Tokenizer(models.Unigram())
    t.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Replace(__import__("tokenizers").Regex(" {2,}"), " ")])
    t.pre_tokenizer = pre_tokenizers.Metaspace()
    t.train_from_iterator(CORPUS, trainers.UnigramTrainer(vocab_size=900, unk_token="<unk>", special_tokens=specials("<s>", "<pad>", "</s>", "<unk>", "<mask>")))
    t.post_processor = processors.TemplateProcessing(single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)])
    t.decoder = decoders.Metaspace()
    return PreTrainedTokenizerFast(tokenizer_object=t, bos_token="<s>", eos_token="</s>", cls_token="<s>", sep_token="</s>", unk_token="<unk>", pad_token="<pad>", mask_token="<mask>", model_max_length=64), "XLMRobertaTokenizer"

SIZE = dict(hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64)

def save(name, model, tokenizer, kind, output, types, where="", extra={}):
    folder = os.path.join(OUT, name, "1"); os.makedirs(os.path.join(folder, where), exist_ok=True)
    model.eval(); MODELS[name] = model
    # Random weights of this size give scores that differ between texts.
    with torch.no_grad():
        for p in model.parameters():
            if p.dim() > 1: p.mul_(6.0)
    model.config.architectures = [type(model).__name__]
    model.config.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    p = os.path.join(folder, "tokenizer_config.json"); config = json.load(open(p)); config["tokenizer_class"] = kind; json.dump(config, open(p, "w"), indent=1)
    for path, value in extra.items():
        os.makedirs(os.path.dirname(os.path.join(folder, path)) or folder, exist_ok=True)
        json.dump(value, open(os.path.join(folder, path), "w"), indent=1)
    names = ["input_ids", "attention_mask"] + (["token_type_ids"] if types else [])
    ids = torch.randint(5, 100, (2, 7)); mask = torch.ones_like(ids); mask[1, 5:] = 0
    args = (ids, mask) + ((torch.zeros_like(ids),) if types else ())
    class Named(torch.nn.Module):
        def __init__(self): super().__init__(); self.model = model
        def forward(self, *values): return self.model(**dict(zip(names, values)), return_dict=True)[output]
    axes = {n: {0: "batch_size", 1: "sequence_length"} for n in names}
    axes[output] = {0: "batch_size"} | ({1: "sequence_length"} if output == "last_hidden_state" or "Token" in type(model).__name__ or "Masked" in type(model).__name__ else {})
    torch.onnx.export(Named(), args, os.path.join(folder, where, "model.onnx"), input_names=names, output_names=[output], dynamic_axes=axes, opset_version=17, dynamo=False)

def labels(*names): return dict(id2label=dict(enumerate(names)), label2id={n: i for i, n in enumerate(names)})

def bert(tok, **more): return BertConfig(vocab_size=len(tok), max_position_embeddings=64, pad_token_id=tok.pad_token_id, attn_implementation="eager", **SIZE, **more)
def roberta(cls, tok, **more): return cls(vocab_size=len(tok), max_position_embeddings=66, pad_token_id=1, bos_token_id=0, eos_token_id=2, type_vocab_size=1, attn_implementation="eager", **SIZE, **more)

lower, kind = wordpiece(True)
save("embedding", BertModel(bert(lower), add_pooling_layer=False), lower, kind, "last_hidden_state", True, "onnx", {
    "modules.json": [{"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"}, {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"}, {"idx": 2, "name": "2", "path": "2_Normalize", "type": "sentence_transformers.models.Normalize"}],
    "1_Pooling/config.json": {"word_embedding_dimension": 32, "pooling_mode_cls_token": False, "pooling_mode_mean_tokens": True, "pooling_mode_max_tokens": False, "pooling_mode_mean_sqrt_len_tokens": False}})
save("classifier", BertForSequenceClassification(bert(lower, **labels("negative", "neutral", "positive"))), lower, kind, "logits", True)
save("toxicity", BertForSequenceClassification(bert(lower, problem_type="multi_label_classification", **labels("insult", "threat", "spam"))), lower, kind, "logits", True)
cased, kind = wordpiece(False)
save("entities", BertForTokenClassification(bert(cased, **labels("O", "B-PER", "I-PER", "B-LOC", "I-LOC"))), cased, kind, "logits", True)
sp, kind = unigram()
save("reranker", XLMRobertaForSequenceClassification(roberta(XLMRobertaConfig, sp, **labels("LABEL_0"))), sp, kind, "logits", False)
save("entailment", XLMRobertaForSequenceClassification(roberta(XLMRobertaConfig, sp, **labels("contradiction", "neutral", "entailment"))), sp, kind, "logits", False)
bpe, kind = bytebpe()
save("words", RobertaForMaskedLM(roberta(RobertaConfig, bpe)), bpe, kind, "logits", False)

# The expected outputs: texts of each script, of all scripts, with signs and emoji, empty, and longer than the models take.
random.seed(3)
words = [w for sentence in CORPUS for w in sentence.split()]
texts = [group[i % len(group)] for group in SENTENCES.values() for i in range(2)]
texts += ["", " ", "a", "🎉 Party at Zoë's — 50% off!", "don't\tstop\n now", "日本のParisとМосква 🇨🇭", "e\u0301te\u0301 ﬁn ½ Ⅷ", "unbekannteswörterzusammensetzungsmonster"]
texts += [" ".join(random.choice(words) for _ in range(count)) for count in [3, 5, 8, 12, 20, 35, 60, 90, 150, 300]]
pairs = [(texts[i], texts[(i * 7 + 3) % len(texts)]) for i in range(len(texts))]

def loaded(name, cls):
    folder = os.path.join(OUT, name, "1")
    return PreTrainedTokenizerFast.from_pretrained(folder), MODELS[name].eval()

def run(name, text, pair=None, truncation=True):
    tokenizer, model = loaded(name, None)
    inputs = tokenizer(text, pair, truncation=truncation, max_length=64, return_tensors="pt", return_offsets_mapping=True, return_token_type_ids=name in ("embedding", "classifier", "toxicity", "entities"))
    offsets = inputs.pop("offset_mapping")[0].tolist()
    with torch.no_grad(): out = model(**inputs)
    full = tokenizer(text, pair, truncation=False)["input_ids"]
    return out, inputs, offsets, len(full) > inputs["input_ids"].shape[1], tokenizer

def counts(inputs, truncated): return dict(tokens=inputs["input_ids"].shape[1], truncated=truncated)
def r(x): return round(float(x), 7)

expected = dict(texts=texts, pairs=pairs, models={})
rows = []
for text in texts:
    out, inputs, _, truncated, _ = run("embedding", text)
    vector = out.last_hidden_state[0].mean(0); vector = vector / vector.norm()
    rows.append(dict(embedding=[r(x) for x in vector], **counts(inputs, truncated)))
expected["models"]["embedding"] = rows
def classify(name, function, items):
    rows = []
    for text, pair in items:
        out, inputs, _, truncated, _ = run(name, text, pair)
        scores = function(out.logits[0]); names = MODELS[name].config.id2label
        rows.append(dict(scores={names[i]: r(x) for i, x in enumerate(scores)}, **counts(inputs, truncated)))
    expected["models"][name] = rows
classify("classifier", lambda x: x.softmax(-1), pairs)
classify("toxicity", lambda x: x.sigmoid(), [(t, None) for t in texts])
classify("reranker", lambda x: x.sigmoid(), pairs)
LABELS = ["travel", "cooking", "новости", "日本"]
rows = []
for text in texts:
    logits, tokens, cut = [], 0, False
    for label in LABELS:
        out, inputs, _, truncated, _ = run("entailment", text, f"This example is {label}.", "only_first")
        logits.append(out.logits[0]); tokens += inputs["input_ids"].shape[1]; cut |= truncated
    logits = torch.stack(logits)
    rows.append(dict(scores=dict(zip(LABELS, map(r, logits[:, 2].softmax(0)))), each=dict(zip(LABELS, map(r, logits[:, [0, 2]].softmax(1)[:, 1]))), tokens=tokens, truncated=cut))
expected["models"]["entailment"] = rows; expected["labels"] = LABELS
rows = []
for text in texts:
    out, inputs, offsets, truncated, tokenizer = run("entities", text)
    scores = out.logits[0].softmax(-1); groups = []
    specials = tokenizer.get_special_tokens_mask(inputs["input_ids"][0].tolist(), already_has_special_tokens=True)
    last = None
    for i, (start, end) in enumerate(offsets):
        if specials[i] and end == start: continue
        at = int(scores[i].argmax()); label = MODELS["entities"].config.id2label[at]
        tag = label.split("-")[-1]; begins = label.startswith("B-")
        if last and last["label"] == tag and not begins: last["scores"].append(float(scores[i][at])); last["end"] = end
        else: last = dict(label=tag, scores=[float(scores[i][at])], start=start, end=end); groups.append(last)
    rows.append(dict(entities=[dict(label=g["label"], score=r(sum(g["scores"]) / len(g["scores"])), start=g["start"], end=g["end"], text=text[g["start"]:g["end"]]) for g in groups if g["label"] != "O"], **counts(inputs, truncated)))
expected["models"]["entities"] = rows
rows = []; masked = []
for text in texts:
    text = "<mask> " + text; masked.append(text)
    out, inputs, _, truncated, tokenizer = run("words", text)
    at = inputs["input_ids"][0].tolist().index(tokenizer.mask_token_id)
    best = out.logits[0, at].softmax(-1).topk(5)
    rows.append(dict(scores=[r(x) for x in best.values], labels=[tokenizer.decode([int(i)]) for i in best.indices], **counts(inputs, truncated)))
expected["models"]["words"] = rows; expected["masked"] = masked
json.dump(expected, open(os.path.join(HERE, "expected.json"), "w", encoding="utf8"), ensure_ascii=False, separators=(",", ":"))
