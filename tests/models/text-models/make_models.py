"""Makes the Hugging Face folders of the tests: tiny models with random weights, exported with torch, and tokenizers trained on TEXTS.

python fixtures.py OUT   (torch, transformers, tokenizers, onnx)
"""
import json, os, random, sys, warnings
warnings.filterwarnings("ignore")
import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers, decoders
from transformers import (BertConfig, BertModel, BertForSequenceClassification, BertForTokenClassification,
    PreTrainedTokenizerFast, RobertaConfig, RobertaForMaskedLM, XLMRobertaConfig, XLMRobertaForSequenceClassification)

OUT = sys.argv[1]
HERE = os.path.dirname(os.path.abspath(__file__))
SENTENCES = json.load(open(os.path.join(HERE, "sentences.json"), encoding="utf8"))
CORPUS = [s for group in SENTENCES.values() for s in group]
torch.manual_seed(7)

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
    model.eval()
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
