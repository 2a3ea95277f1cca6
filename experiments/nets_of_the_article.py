"""Do the nets that an introduction names care how they start, and does one rule do?

AlexNet, VGG-11 and ResNet-20 in their forms for small images, and a plain net of four
convolutions, twelve channels at first, on real Fashion-MNIST: the three initializations
of the introduction (zeros, a Gaussian of fixed scale, Xavier) against He and the
defaults of Flax and PyTorch, each at its own best learning rate.

Command:  python launch.py --study=nets_of_the_article
Cost:     about twenty minutes on two CPU cores, by `plan`, most of it ResNet-20.
Expected: zeros never leave the class prior, but in ResNet-20 only because batch norm
          passes no signal; the fixed small scale fails where nothing rescales it and
          the net is deep (VGG-11, plain); with batch norm the laws are close together.
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
