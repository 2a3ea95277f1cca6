"""Every model of the table, so small that it is traced and trained in a moment."""

_ALEXNET = {"width": 6, "dense": 8}
_VGG = {"stages": (1, 1), "width": 2, "dense": 8, "pooled": 2}
_GOOGLENET = {"width": 4, "modules": 4, "dense": 3}
_RESNET = {"stages": (1, 1), "width": 2}

# Fields, and the shape of the images.
TINY = {
    "cnn": ({"depth": 2, "width": 3}, (8, 8, 1)),
    "lenet": ({}, (16, 16, 1)),
    "linear": ({}, (4, 4, 1)),
    "resnet": ({"depth": 8, "width": 2}, (8, 8, 1)),
    "vgg_stages": ({"depth": 2, "width": 2}, (8, 8, 1)),
    "alexnet": (_ALEXNET, (67, 67, 3)),
    "alexnet_torchvision": ({"width": 2, "dense": 8}, (63, 63, 3)),
    "alexnet_small": (_ALEXNET, (28, 28, 1)),
    "vgg11": (_VGG, (8, 8, 1)),
    "vgg13": (_VGG, (8, 8, 1)),
    "vgg16": (_VGG, (8, 8, 1)),
    "vgg19": (_VGG, (8, 8, 1)),
    "vgg11_small": ({"width": 2}, (8, 8, 1)),
    "resnet18": (_RESNET, (16, 16, 1)),
    "resnet34": (_RESNET, (16, 16, 1)),
    "resnet50": (_RESNET, (16, 16, 1)),
    "resnet101": (_RESNET, (16, 16, 1)),
    "resnet152": (_RESNET, (16, 16, 1)),
    "resnet18_v2": (_RESNET, (16, 16, 1)),
    "resnet34_v2": (_RESNET, (16, 16, 1)),
    "resnet50_v2": (_RESNET, (16, 16, 1)),
    "resnet101_v2": (_RESNET, (16, 16, 1)),
    "resnet152_v2": (_RESNET, (16, 16, 1)),
    "resnet20_cifar": ({"depth": 8, "width": 2}, (8, 8, 1)),
    "resnet32_cifar": ({"depth": 8, "width": 2}, (8, 8, 1)),
    "resnet44_cifar": ({"depth": 8, "width": 2}, (8, 8, 1)),
    "resnet56_cifar": ({"depth": 8, "width": 2}, (8, 8, 1)),
    "resnet110_cifar": ({"depth": 8, "width": 2}, (8, 8, 1)),
    "wide_resnet28_10": ({**_RESNET, "widening": 2, "dropout": 0.3}, (8, 8, 1)),
    "all_cnn_c": ({"width": 2}, (9, 9, 1)),
    "densenet40": ({"depth": 7, "width": 4, "growth": 2}, (8, 8, 1)),
    "densenet_bc100": ({"depth": 10, "width": 4, "growth": 2}, (8, 8, 1)),
    "mobilenet_v2": ({"width": 4, "blocks": 1}, (16, 16, 1)),
    "convnext_tiny": ({"stages": (1, 1), "width": 4}, (8, 8, 1)),
    "convmixer": ({"depth": 2, "width": 4, "kernel_size": 3}, (8, 8, 1)),
    "vit_small": ({"depth": 2, "width": 4, "heads": 2, "patch": 4}, (8, 8, 1)),
    "plain_circular": ({"depth": 2, "width": 3}, (8, 8, 1)),
    "googlenet": (_GOOGLENET, (16, 16, 1)),
    "googlenet_torchvision": (_GOOGLENET, (16, 16, 1)),
    "nfnet_f0": ({"stages": (1, 1), "width": 4, "group_width": 1}, (8, 8, 1)),
    "unet": ({"depth": 1, "width": 2, "padding": "same"}, (8, 8, 1)),
}
