"""Do the nets that an introduction names care how they start, and does one rule do?

AlexNet, VGG-11 and ResNet-20 in their forms for small images, and a plain net of four
convolutions, twelve channels at first, on real Fashion-MNIST: the three initializations
of the introduction (zeros, a Gaussian of fixed scale, Xavier) against He and the
defaults of Flax and PyTorch, each at its own best learning rate.

Command:  python launch.py --study=nets_of_the_article
Cost:     three quarters of an hour on two CPU cores that other work shared (n=1):
          four minutes of compiling and 37 of training and testing are ResNet-20's.
Expected: zeros never leave the class prior; the fixed small scale fails where nothing
          rescales it; with batch norm the laws are close together.
Measured: medians of five runs, in per cent, each seed at the rate the others chose:
          AlexNet: He 56, Flax 51, Xavier 47; PyTorch at chance. VGG-11: He 65, Flax 45
          (two of five runs failed), Xavier 19; PyTorch at chance. Plain: He 49,
          Xavier 40, Flax 38, PyTorch 31. ResNet-20: Xavier 70, He 69, PyTorch and
          Flax 67, N(0, 0.01²) 30. Zeros are at chance everywhere, and so is N(0, 0.01²)
          without batch norm. Five seeds decide one thing only, at 95 % for all pairs:
          in ResNet-20 Flax is 3.2 points behind Xavier (0.3 to 6.1), where both learn.
"""

from init_study.study import Study

STUDY = Study(
    name="nets_of_the_article",
    question="Do AlexNet, VGG, ResNet and a plain net care how they start?",
    schemes=(
        "zeros",
        "normal(0.01)",
        "xavier_uniform",
        "he_normal",
        "flax",
        "torch",
    ),
    learning_rates=(0.01, 0.03, 0.1),
    seeds=(0, 1, 2, 3, 4),
    dataset=("fashion_mnist",),
    model=("alexnet_small", "vgg11_small", "cnn", "resnet20_cifar"),
    width=(12,),
    batch_size=(32,),
    steps=(100,),
    evaluations=1,
)
