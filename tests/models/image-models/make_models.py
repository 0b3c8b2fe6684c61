"""Makes the Hugging Face folders of the tests: tiny models of images with random weights, exported with torch.

python make_models.py OUT   (torch, transformers, onnx)
"""
import json
import os
import sys

import torch
from transformers import (
    CLIPVisionConfig,
    CLIPVisionModelWithProjection,
    ConvNextConfig,
    ConvNextForImageClassification,
    ViTConfig,
    ViTForImageClassification,
    ViTModel,
)

OUT = sys.argv[1]
LABELS = ["cat", "dog", "ship", "tree", "zebra"]
CLIP_MEAN = [0.48145466, 0.4578275, 0.40821073]
CLIP_STD = [0.26862954, 0.26130258, 0.27577711]
torch.manual_seed(7)


class Outputs(torch.nn.Module):
    def __init__(self, model, names):
        super().__init__()
        self.model, self.names = model, names

    def forward(self, pixel_values):
        made = self.model(pixel_values=pixel_values)
        return tuple(made[name] for name in self.names)


def write(name, model, size, outputs, preprocessor, place="model.onnx"):
    folder = os.path.join(OUT, name, "1")
    os.makedirs(os.path.join(folder, os.path.dirname(place)), exist_ok=True)
    # Random weights of the usual scale give nearly equal outputs for all images.
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(4)
    model.eval()
    config = model.config.to_dict() | {"architectures": [type(model).__name__]}
    with open(os.path.join(folder, "config.json"), "w") as file:
        json.dump(config, file, indent=2)
    with open(os.path.join(folder, "preprocessor_config.json"), "w") as file:
        json.dump(preprocessor, file, indent=2)
    dynamic = {key: {0: "batch"} for key in ["pixel_values", *outputs]}
    torch.onnx.export(
        Outputs(model, outputs),
        (torch.randn(2, 3, size, size),),
        os.path.join(folder, place),
        input_names=["pixel_values"],
        output_names=outputs,
        dynamic_axes=dynamic,
        opset_version=17,
        dynamo=False,
    )


labels = {"id2label": dict(enumerate(LABELS)), "label2id": {label: at for at, label in enumerate(LABELS)}}
vit = dict(hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64, image_size=32, patch_size=8)
vit_size = {
    "image_processor_type": "ViTImageProcessor", "do_resize": True, "size": {"height": 32, "width": 32}, "resample": 2,
    "do_rescale": True, "rescale_factor": 1 / 255, "do_normalize": True, "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5],
}
clip_size = {
    "image_processor_type": "CLIPImageProcessor", "do_resize": True, "size": {"shortest_edge": 32}, "resample": 3,
    "do_center_crop": True, "crop_size": {"height": 32, "width": 32}, "do_convert_rgb": True,
    "do_rescale": True, "rescale_factor": 1 / 255, "do_normalize": True, "image_mean": CLIP_MEAN, "image_std": CLIP_STD,
}
convnext_size = {
    "image_processor_type": "ConvNextImageProcessor", "do_resize": True, "size": {"shortest_edge": 32}, "crop_pct": 0.875, "resample": 1,
    "do_rescale": True, "rescale_factor": 1 / 255, "do_normalize": True,
    "image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225],
}
write("vit", ViTForImageClassification(ViTConfig(**vit, **labels)), 32, ["logits"], vit_size)
write("vit-features", ViTModel(ViTConfig(**vit)), 32, ["last_hidden_state", "pooler_output"], vit_size)
clip = dict(hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4, image_size=32, patch_size=8, projection_dim=24)
write("clip", CLIPVisionModelWithProjection(CLIPVisionConfig(**clip)), 32, ["image_embeds"], clip_size, "onnx/model.onnx")
convnext = dict(num_channels=3, hidden_sizes=[8, 16, 24, 32], depths=[1, 1, 1, 1], **labels)
write("convnext", ConvNextForImageClassification(ConvNextConfig(**convnext)), 32, ["logits"], convnext_size)
