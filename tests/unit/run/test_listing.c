/* Image lists from small copies of published data sets: the list, what is said about it, and the pictures and masks written. */
#include "job_files.h"

#include <zlib.h>

#include "base/npy.h"
#include "run/listing.h"
#include "run/manifest.h"
#include "whypix/image.h"

/* Pictures with one value each, so that those written can be told apart. */
static void grey(const char *name, int h, int w, uint8_t value) {
    uint8_t *px = malloc((size_t)h * (size_t)w);
    assert_non_null(px);
    memset(px, value, (size_t)h * (size_t)w);
    OK(why_make_dirs_for(in_dir(name)));
    OK(why_grey_save_png(px, h, w, in_dir(name)));
    free(px);
}

static void text(const char *name, const char *content) {
    OK(why_make_dirs_for(in_dir(name)));
    OK(why_write_file(in_dir(name), content, strlen(content)));
}

/* The test's own folder becomes DIR. */
static char *taken(why_buf *b) {
    char *s, *at;
    char dir[4096];
    snprintf(dir, sizeof dir, "%s", in_dir(""));
    const size_t n = strlen(dir) - 1;
    OK(why_buf_take(b, &s));
    while ((at = strstr(s, dir)) != NULL) {
        memcpy(at, "DIR", 3);
        memmove(at + 3, at + n, strlen(at + n) + 1);
    }
    return s;
}

static void assert_text(const char *got, const char *want) {
    if (strcmp(got, want) != 0) fail_msg("\n---- wanted\n%s---- got\n%s", want, got);
}

static void check(const char *kind, why_listing_options o, const char *csv, const char *report) {
    const why_list_kind *k;
    why_listing *l;
    why_buf b = {0};
    char *got;
    char path[4096];
    snprintf(path, sizeof path, "%s", in_dir(o.path));
    o.path = path;
    o.limit = o.limit ? o.limit : -1;
    OK(why_list_kind_find(kind, &k));
    OK(why_listing_create(k, &o, &l));
    why_listing_report(l, &b);
    assert_text(got = taken(&b), report);
    free(got);
    why_listing_csv(l, &b);
    why_buf_put(&b, "", 1);
    OK(why_buf_status(&b));
    write_text("made.csv", (char *)b.data);
    b.size--;
    assert_text(got = taken(&b), csv);
    free(got);
    why_listing_destroy(&l);
}

/* The list that check() made is one that a job takes. */
static void assert_loads(const char *labels, int n) {
    why_arena *arena;
    why_labels names = {0};
    why_manifest m;
    OK(why_arena_create(1 << 12, &arena));
    if (labels) OK(why_labels_load(arena, labels, 0, &names));
    OK(why_manifest_load(arena, in_dir("made.csv"), &names, &m));
    assert_int_equal(m.n, n);
    why_arena_destroy(&arena);
}

/* Size and value of a pixel of a picture that was written. */
static void assert_pixel(const char *name, int h, int w, int y, int x, int value) {
    uint8_t *px;
    int gh, gw;
    OK(why_mask_load(in_dir(name), NULL, &px, &gh, &gw));
    assert_int_equal(gh, h);
    assert_int_equal(gw, w);
    assert_int_equal(px[y * w + x], value);
    free(px);
}

/* ---------------------------------------------------------------- kinds */
static void test_folder(void **state) {
    (void)state;
    grey("f/zebra/b.png", 4, 5, 1);
    grey("f/zebra/deep/a, b.png", 4, 5, 2);
    grey("f/ant/1.png", 4, 5, 3);
    grey("f/bee/1.png", 4, 5, 4);
    grey("f/stray.png", 4, 5, 5);
    text("f/ant/notes.txt", "no picture");
    text("f/.hidden/x.png", "");
    text("f/__MACOSX/zebra/b.png", "");
    check("folder", (why_listing_options){.path = "f"},
          "image,label\nDIR/f/ant/1.png,ant\nDIR/f/bee/1.png,bee\nDIR/f/zebra/b.png,zebra\n\"DIR/f/zebra/deep/a, b.png\",zebra\n",
          "4 pictures\nclasses: ant 1, bee 1, zebra 2\n2 refused:\n"
          "  DIR/f/ant/notes.txt: is not a picture that is read here (PNG, JPEG): it begins with byte 0x6e\n"
          "  DIR/f/stray.png: stands in no class folder\n");
    char names[4096];
    snprintf(names, sizeof names, "%s", write_text("names.txt", "ant, the insect\nzebra\nzebra crossing\n"));
    check("folder", (why_listing_options){.path = "f", .labels = names, .classes = (const char *[]){"ant", "zebra"}, .n_classes = 2},
          "image,label\nDIR/f/ant/1.png,0\nDIR/f/zebra/b.png,1\n\"DIR/f/zebra/deep/a, b.png\",1\n",
          "3 pictures\nclasses: 0 1, 1 2\n1 of other classes left out\n2 refused:\n"
          "  DIR/f/ant/notes.txt: is not a picture that is read here (PNG, JPEG): it begins with byte 0x6e\n  DIR/f/stray.png: stands in "
          "no class folder\n");
    assert_loads(names, 3);
    snprintf(names, sizeof names, "%s", write_text("names.txt", "bee eater\nzebra\nbee, the insect\n")); /* which bee? */
    check("folder", (why_listing_options){.path = "f", .labels = names, .classes = (const char *[]){"bee", "zebra"}, .n_classes = 2},
          "image,label\nDIR/f/zebra/b.png,1\n\"DIR/f/zebra/deep/a, b.png\",1\n",
          "2 pictures\nclasses: 1 2\n2 of other classes left out\n2 refused:\n"
          "  DIR/f/bee/1.png: label 'bee' begins 2 lines of DIR/names.txt\n  DIR/f/stray.png: stands in no class folder\n");
}

static void test_folder_errors(void **state) {
    (void)state;
    const why_list_kind *k;
    why_listing *l;
    REFUSED(why_list_kind_find("foldr", &k), "did you mean 'folder'");
    OK(why_list_kind_find("folder", &k));
    REFUSED(why_listing_create(k, &(why_listing_options){.path = in_dir("gone")}, &l), "gone: No such file");
    why_listing_destroy(&l);
    grey("one/only.png", 2, 2, 1);
    REFUSED(why_listing_create(k, &(why_listing_options){.path = in_dir("one")}, &l),
            "no picture is left for the list; 1 rows were refused");
    assert_non_null(l); /* and can be told */
    why_listing_destroy(&l);
}

static void test_imagenet(void **state) {
    (void)state;
    text("i/LOC_val_solution.csv", "ImageId,PredictionString\n"
                                   "ILSVRC2012_val_01,n02 85 1 499 272 n02 0 0 9 9 \n"
                                   "ILSVRC2012_val_02,n01 1 1 2 2 n09 5 5 6 6 \n"
                                   "ILSVRC2012_val_03,n01 1 1 2 2 \n"
                                   "ILSVRC2012_val_04,n01 1 1 2\n"
                                   "ILSVRC2012_val_05,n07 1 1 2 2\n"
                                   "ILSVRC2012_val_06,n01 11 1 12 2\n");
    text("i/map.txt", "n01 tench, Tinca tinca\nn02 goldfish\n");
    grey("i/ILSVRC/Data/CLS-LOC/val/ILSVRC2012_val_01.png", 300, 500, 1);
    for (int k = 2; k < 7; k++) {
        char name[64];
        if (k == 3) continue;
        snprintf(name, sizeof name, "i/ILSVRC/Data/CLS-LOC/val/ILSVRC2012_val_%02d.png", k);
        grey(name, 8, 8, 1);
    }
    char names[4096];
    snprintf(names, sizeof names, "%s", in_dir("i/map.txt"));
    check("imagenet", (why_listing_options){.path = "i/LOC_val_solution.csv", .labels = names},
          "image,label,boxes,split\n"
          "DIR/i/ILSVRC/Data/CLS-LOC/val/ILSVRC2012_val_01.png,1,84 0 499 272;0 0 9 9,val\n"
          "DIR/i/ILSVRC/Data/CLS-LOC/val/ILSVRC2012_val_02.png,0,0 0 2 2,val\n",
          "2 pictures\nclasses: 0 1, 1 1\nsplits: val 2\n4 refused:\n"
          "  DIR/i/LOC_val_solution.csv:4: there is no picture ILSVRC2012_val_03 in DIR/i/ILSVRC/Data/CLS-LOC/val\n"
          "  DIR/i/LOC_val_solution.csv:5: 'n01 1 1 2' is not SYNSET XMIN YMIN XMAX YMAX, again and again\n"
          "  DIR/i/ILSVRC/Data/CLS-LOC/val/ILSVRC2012_val_05.png: label 'n07' is not in DIR/i/map.txt\n"
          "  DIR/i/ILSVRC/Data/CLS-LOC/val/ILSVRC2012_val_06.png: box '10 0 12 2' lies outside the picture of 8 x 8\n");
    assert_loads(NULL, 2);
    text("i/LOC_train_solution.csv", "ImageId,PredictionString\nn02_7,n02 1 1 4 4\n");
    grey("i/ILSVRC/Data/CLS-LOC/train/n02/n02_7.png", 8, 8, 1);
    check("imagenet", (why_listing_options){.path = "i/LOC_train_solution.csv"},
          "image,label,boxes,split\nDIR/i/ILSVRC/Data/CLS-LOC/train/n02/n02_7.png,n02,0 0 4 4,train\n",
          "1 picture\nclasses: n02 1\nsplits: train 1\n");
}

#define OBJECT(name, a, b, c, d, more)                                                                                             \
    "<object>\n<name> " name " </name><pose>Left</pose>" more "<bndbox><xmin>" a "</xmin><ymin>" b "</ymin><xmax>" c "</xmax><ymax>" d \
    "</ymax></bndbox></object>\n"
#define PART "<part><name>head</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>2</xmax><ymax>2</ymax></bndbox></part>"

static void test_voc(void **state) {
    (void)state;
    text("v/Annotations/a.xml", "<?xml version='1.0'?><annotation><filename>%s</filename><size><width>50</width></size>\n" OBJECT(
                                    "dog", "2", "3", "10.6", "20", PART) OBJECT("person", "1", "1", "9", "9", PART)
                                    OBJECT("dog", "21", "1", "30", "5", "") "</annotation>");
    text("v/Annotations/b.xml", "<annotation><size/></annotation>");
    text("v/Annotations/c.xml", "<annotation><object>\n</annotation>");
    text("v/Annotations/d.xml", "<annotation>" OBJECT("dog", "1", "1", "2", "2", "") "</annotation>");
    text("v/Annotations/e.xml",
         "<annotation>" OBJECT("cat &amp; dog", "1", "x", "2", "2", "") OBJECT("a &amp; b", "1", "1", "2", "2", "") "</annotation>");
    grey("v/JPEGImages/a.png", 40, 50, 1);
    grey("v/JPEGImages/b.png", 40, 50, 1);
    grey("v/JPEGImages/c.png", 40, 50, 1);
    grey("v/JPEGImages/e.png", 40, 50, 1);
    check("voc", (why_listing_options){.path = "v"},
          "image,label,boxes\nDIR/v/JPEGImages/a.png,dog,1 2 11 20;20 0 30 5\nDIR/v/JPEGImages/e.png,a & b,0 0 2 2\n",
          "2 pictures\nclasses: a & b 1, dog 1\n3 refused:\n  DIR/v/Annotations/b.xml: names no object with a box\n"
          "  DIR/v/Annotations/c.xml: line 2 is no XML: mismatched tag\n"
          "  DIR/v/Annotations/d.xml: there is no picture d in DIR/v/JPEGImages\n");
    assert_loads(write_text("names.txt", "dog\na & b\n"), 2);
}

#define CBIS_HEAD                                                                                                             \
    "patient_id,breast_density,left or right breast,image view,abnormality id,abnormality type,pathology,image file path,"     \
    "cropped image file path,ROI mask file path\n"

static void test_cbis(void **state) {
    (void)state;
    text("c/csv/mass_case_description_train_set.csv",
         CBIS_HEAD "P_1,3,LEFT,CC,1,mass,MALIGNANT,M_P_1_LEFT_CC/1.1/1.2/000000.dcm,M_P_1_LEFT_CC_1/1.3/1.4/000000.dcm,"
                   "\"M_P_1_LEFT_CC_1/1.3/1.4/000001.dcm\n\"\n"
                   "P_2,2,RIGHT,MLO,1,mass,BENIGN,M_P_2_RIGHT_MLO/2.1/2.2/000000.dcm,M_P_2_RIGHT_MLO_1/2.3/2.4/000000.dcm,"
                   "M_P_2_RIGHT_MLO_1/2.3/2.4/000001.dcm\n"
                   "P_2,2,RIGHT,MLO,2,mass,BENIGN_WITHOUT_CALLBACK,M_P_2_RIGHT_MLO/2.1/2.2/000000.dcm,M_P_2_RIGHT_MLO_2/2.5/2.6/000000.dcm,"
                   "M_P_2_RIGHT_MLO_2/2.5/2.6/000000.dcm\n"
                   "P_3,2,RIGHT,MLO,1,mass,UNPROVEN,M_P_3/3.1/3.2/000000.dcm,x,y\n"
                   "P_4,2,RIGHT,MLO,1,mass,BENIGN,M_P_4/4.1/4.2/000000.dcm,M_P_4_1/4.3/4.4/000000.dcm,M_P_4_1/4.3/4.4/000001.dcm\n");
    text("c/csv/calc_case_description_test_set.csv",
         "patient_id,breast density,left or right breast,image view,abnormality id,abnormality type,pathology,image file path,"
         "cropped image file path,ROI mask file path\n"
         "P_1,3,LEFT,MLO,1,calcification,BENIGN,C_P_1_LEFT_MLO/5.1/5.2/000000.dcm,C_P_1_LEFT_MLO_1/5.3/5.4/000001.dcm,"
         "C_P_1_LEFT_MLO_1/5.3/5.4/000000.dcm\n");
    grey("c/jpeg/1.2/1-001.png", 30, 20, 1); /* as Kaggle has them: the mask beside its crop, under any name */
    grey("c/jpeg/1.4/1-101.png", 9, 9, 77);
    grey("c/jpeg/1.4/2-102.png", 30, 20, 255);
    grey("c/jpeg/2.2/1-001.png", 12, 10, 2);
    grey("c/jpeg/2.4/2-001.png", 12, 10, 0);
    grey("c/jpeg/2.4/1-001.png", 5, 5, 9);
    grey("c/jpeg/2.6/1-001.png", 12, 10, 255);
    grey("c/jpeg/4.2/1-001.png", 12, 10, 4);
    grey("c/jpeg/4.4/1-001.png", 5, 5, 4);
    grey("c/jpeg/C_P_1_LEFT_MLO/5.1/5.2/000000.png", 6, 6, 5); /* as the TCIA's tree, converted in place */
    grey("c/jpeg/C_P_1_LEFT_MLO_1/5.3/5.4/000000.png", 3, 3, 5); /* the two are swapped */
    grey("c/jpeg/C_P_1_LEFT_MLO_1/5.3/5.4/000001.png", 6, 6, 255);
    char images[4096], write[4096];
    snprintf(images, sizeof images, "%s", in_dir("c/jpeg"));
    snprintf(write, sizeof write, "%s", in_dir("c/masks"));
    check("cbis", (why_listing_options){.path = "c/csv", .images = images, .write = write},
          "image,label,mask,group,split,density,side,view,abnormality\n"
          "DIR/c/jpeg/C_P_1_LEFT_MLO/5.1/5.2/000000.png,benign,DIR/c/jpeg/C_P_1_LEFT_MLO_1/5.3/5.4/"
          "000001.png,P_1,test,3,LEFT,MLO,calcification\n"
          "DIR/c/jpeg/1.2/1-001.png,malignant,DIR/c/jpeg/1.4/2-102.png,P_1,train,3,LEFT,CC,mass\n"
          "DIR/c/jpeg/2.2/1-001.png,benign,DIR/c/masks/M_P_2_RIGHT_MLO.png,P_2,train,2,RIGHT,MLO,mass\n",
          "3 pictures\nclasses: benign 2, malignant 1\nsplits: test 1, train 2\ngroups: 2\n2 refused:\n"
          "  DIR/c/csv/mass_case_description_train_set.csv:6: pathology 'UNPROVEN' is neither BENIGN... nor MALIGNANT\n"
          "  DIR/c/csv/mass_case_description_train_set.csv:7: there is no mask of 10 x 12 pixels for M_P_4_1/4.3/4.4/000001.dcm\n"
          "warning: 1 group stands in more than one split: P_1\n");
    assert_pixel("c/masks/M_P_2_RIGHT_MLO.png", 12, 10, 11, 9, 255);
    check("cbis", (why_listing_options){.path = "c/csv/mass_case_description_train_set.csv", .images = images},
          "image,label,mask,group,split,density,side,view,abnormality\n"
          "DIR/c/jpeg/1.2/1-001.png,malignant,DIR/c/jpeg/1.4/2-102.png,P_1,train,3,LEFT,CC,mass\n",
          "1 picture\nclasses: malignant 1\nsplits: train 1\ngroups: 1\n3 refused:\n"
          "  DIR/c/csv/mass_case_description_train_set.csv:6: pathology 'UNPROVEN' is neither BENIGN... nor MALIGNANT\n"
          "  DIR/c/csv/mass_case_description_train_set.csv:4: has 2 regions; --write DIR says where the union of their masks goes\n"
          "  DIR/c/csv/mass_case_description_train_set.csv:7: there is no mask of 10 x 12 pixels for M_P_4_1/4.3/4.4/000001.dcm\n");
    check("cbis",
          (why_listing_options){.path = "c/csv/calc_case_description_test_set.csv", .images = images, .column = "cropped image file path"},
          "image,label,group,split,density,side,view,abnormality\n"
          "DIR/c/jpeg/C_P_1_LEFT_MLO_1/5.3/5.4/000001.png,benign,P_1,test,3,LEFT,MLO,calcification\n",
          "1 picture\nclasses: benign 1\nsplits: test 1\ngroups: 1\n");
}

static void test_xray(void **state) {
    (void)state;
    grey("x/train/PNEUMONIA/person12_bacteria_47.png", 5, 5, 1);
    grey("x/train/PNEUMONIA/person12_virus_4.png", 5, 5, 1);
    grey("x/test/PNEUMONIA/person12_virus_48.png", 5, 5, 1);
    grey("x/test/NORMAL/IM-0001-0001.png", 5, 5, 1);
    grey("x/test/NORMAL/NORMAL2-IM-0027-0001-0002.png", 5, 5, 1);
    grey("x/val/NORMAL/unknown.png", 5, 5, 1);
    grey("x/chest_xray/train/NORMAL/IM-9.png", 5, 5, 1); /* Kaggle's copy holds itself */
    check("xray", (why_listing_options){.path = "x"},
          "image,label,group,split,agent\n"
          "DIR/x/test/NORMAL/IM-0001-0001.png,NORMAL,IM-0001,test,\n"
          "DIR/x/test/NORMAL/NORMAL2-IM-0027-0001-0002.png,NORMAL,NORMAL2-IM-0027,test,\n"
          "DIR/x/test/PNEUMONIA/person12_virus_48.png,PNEUMONIA,person12,test,virus\n"
          "DIR/x/train/PNEUMONIA/person12_bacteria_47.png,PNEUMONIA,person12,train,bacteria\n"
          "DIR/x/train/PNEUMONIA/person12_virus_4.png,PNEUMONIA,person12,train,virus\n"
          "DIR/x/val/NORMAL/unknown.png,NORMAL,,val,\n",
          "6 pictures\nclasses: NORMAL 3, PNEUMONIA 3\nsplits: test 3, train 2, val 1\ngroups: 3\n1 refused:\n"
          "  DIR/x/chest_xray/train/NORMAL/IM-9.png: does not stand in SPLIT/CLASS\n"
          "warning: 1 group stands in more than one split: person12\n");
}

static void bytes(const char *name, const void *data, size_t n, bool packed) {
    OK(why_make_dirs_for(in_dir(name)));
    if (!packed) {
        OK(why_write_file(in_dir(name), data, n));
        return;
    }
    gzFile f = gzopen(in_dir(name), "wb");
    assert_int_equal(gzwrite(f, data, (unsigned)n), n);
    gzclose(f);
}

static void test_idx(void **state) {
    (void)state;
    const uint8_t images[] = {0, 0, 8, 3, 0, 0, 0, 3, 0, 0, 0, 2, 0, 0, 0, 3, 1, 2, 3, 4, 5, 6, 10, 20, 30, 40, 50, 60, 7, 8, 9, 7, 8, 9};
    const uint8_t labels[] = {0, 0, 8, 1, 0, 0, 0, 3, 7, 2, 7}, two[] = {0, 0, 8, 1, 0, 0, 0, 2, 7, 2};
    bytes("m/train-images-idx3-ubyte", images, sizeof images, false);
    bytes("m/train-labels-idx1-ubyte", labels, sizeof labels, false);
    bytes("m/t10k-images-idx3-ubyte.gz", images, sizeof images, true);
    bytes("m/t10k-labels-idx1-ubyte.gz", labels, sizeof labels, true);
    bytes("m/short-images.idx3-ubyte", images, sizeof images - 1, false);
    bytes("m/short-labels.idx1-ubyte", labels, sizeof labels, false);
    bytes("m/odd-images-idx3-ubyte", images, sizeof images, false);
    bytes("m/odd-labels-idx1-ubyte", two, sizeof two, false);
    char write[4096];
    snprintf(write, sizeof write, "%s", in_dir("m-png"));
    check("idx", (why_listing_options){.path = "m", .write = write, .classes = (const char *[]){"7"}, .n_classes = 1},
          "image,label,split\nDIR/m-png/short/00000.png,7,short\nDIR/m-png/t10k/00000.png,7,test\nDIR/m-png/t10k/00002.png,7,test\n"
          "DIR/m-png/train/00000.png,7,train\nDIR/m-png/train/00002.png,7,train\n",
          "5 pictures\nclasses: 7 5\nsplits: short 1, test 2, train 2\n3 of other classes left out\n2 refused:\n"
          "  DIR/m/odd-images-idx3-ubyte: holds 3 pictures, DIR/m/odd-labels-idx1-ubyte 2 labels\n"
          "  DIR/m/short-images.idx3-ubyte: ends too early, or is a broken gzip file\n");
    assert_pixel("m-png/t10k/00002.png", 2, 3, 1, 2, 9);
    assert_pixel("m-png/train/00000.png", 2, 3, 1, 0, 4);
}

static void test_fashion(void **state) {
    (void)state;
    text("s/styles.csv", "id,gender,masterCategory,subCategory,articleType,baseColour,season,year,usage,productDisplayName\n"
                         "15970,Men,Apparel,Topwear,Shirts,Navy Blue,Fall,2011,Casual,Turtle Check Men Navy Blue Shirt\n"
                         "39386,Men,Footwear,Flip Flops,Flip Flops,Blue,,2012,Casual,Peter, the Flop, twice\n"
                         "59263,Women,Accessories,Watches,Watches,Silver,Winter,2016,Casual,Titan\n"
                         "21379,Men,Apparel\n"
                         "53759,Men,Apparel,Topwear,Tshirts,Grey,Summer,2012,Casual,Puma\n");
    grey("s/images/15970.png", 5, 4, 1);
    grey("s/images/39386.png", 5, 4, 1);
    grey("s/images/53759.png", 5, 4, 1);
    check("fashion", (why_listing_options){.path = "s/styles.csv", .classes = (const char *[]){"Shirts", "Flip Flops"}, .n_classes = 2},
          "image,label,gender,masterCategory,subCategory,articleType,baseColour,season,year,usage\n"
          "DIR/s/images/15970.png,Shirts,Men,Apparel,Topwear,Shirts,Navy Blue,Fall,2011,Casual\n"
          "DIR/s/images/39386.png,Flip Flops,Men,Footwear,Flip Flops,Flip Flops,Blue,,2012,Casual\n",
          "2 pictures\nclasses: Flip Flops 1, Shirts 1\n1 of other classes left out\n2 refused:\n"
          "  DIR/s/styles.csv:4: there is no picture 59263 in DIR/s/images\n"
          "  DIR/s/styles.csv:5: 3 fields, the header has 10\n");
    const why_list_kind *k;
    why_listing *l;
    OK(why_list_kind_find("fashion", &k));
    REFUSED(why_listing_create(k, &(why_listing_options){.path = in_dir("s/styles.csv"), .column = "kind"}, &l),
            "has no column 'kind'; there are: id, gender");
    why_listing_destroy(&l);
}

static void test_npy(void **state) {
    (void)state;
    const why_shape last = {.rank = 4, .dim = {3, 2, 2, 3}}, first = {.rank = 4, .dim = {1, 3, 2, 2}}, flat = {.rank = 3, .dim = {1, 2, 2}};
    float x[36], plane[12], small[4] = {0, 0.2f, 0.5f, 1};
    for (int i = 0; i < 36; i++) x[i] = (float)(7 * i);
    x[30] = 255.5f;
    for (int i = 0; i < 12; i++) plane[i] = (float)(20 * i);
    OK(why_make_dirs(in_dir("n")));
    OK(why_npy_save_f32(in_dir("n/X.npy"), &last, x));
    OK(why_npy_save_f32(in_dir("n/planes.npy"), &first, plane));
    OK(why_npy_save_f32(in_dir("n/grey.npy"), &flat, small));
    text("n/y.csv", "4.210000000000000000e+02\n0.0\n7\n");
    char targets[4096], write[4096];
    snprintf(targets, sizeof targets, "%s", in_dir("n/y.csv"));
    snprintf(write, sizeof write, "%s", in_dir("n-png"));
    check("npy", (why_listing_options){.path = "n/X.npy", .write = write, .targets = targets},
          "image,label\nDIR/n-png/00000.png,421\nDIR/n-png/00001.png,0\n",
          "2 pictures\nclasses: 0 1, 421 1\n1 refused:\n  DIR/n-png/00002.png: picture 2 has values outside 0 .. 255\n");
    why_image im;
    OK(why_image_load(in_dir("n-png/00001.png"), NULL, &im));
    for (int i = 0; i < 12; i++) assert_int_equal(im.rgb[i], 84 + 7 * i);
    why_image_clear(&im);
    check("npy", (why_listing_options){.path = "n/planes.npy", .write = write}, "image\nDIR/n-png/00000.png\n", "1 picture\n");
    OK(why_image_load(in_dir("n-png/00000.png"), NULL, &im));
    for (int p = 0; p < 4; p++)
        for (int c = 0; c < 3; c++) assert_int_equal(im.rgb[3 * p + c], 20 * (4 * c + p));
    why_image_clear(&im);
    check("npy", (why_listing_options){.path = "n/grey.npy", .write = write}, "image\nDIR/n-png/00000.png\n", "1 picture\n");
    assert_pixel("n-png/00000.png", 2, 2, 0, 1, 51);
    assert_pixel("n-png/00000.png", 2, 2, 1, 0, 128);
    const why_list_kind *k;
    why_listing *l;
    text("n/y.csv", "1\n2\n");
    OK(why_list_kind_find("npy", &k));
    REFUSED(why_listing_create(k, &(why_listing_options){.path = in_dir("n/X.npy"), .write = write, .targets = targets, .limit = -1}, &l),
            "holds 2 labels");
    why_listing_destroy(&l);
}

static void test_labelme(void **state) {
    (void)state;
    text("l/a.json", "{\"version\":\"5.1.1\",\"flags\":{},\"shapes\":["
                     "{\"label\":\"kite\",\"points\":[[2,1],[8,1],[8,5],[2,5]],\"group_id\":null,\"shape_type\":\"polygon\",\"flags\":{}},"
                     "{\"label\":\"sky\",\"points\":[[0,0],[20,16]],\"shape_type\":\"rectangle\"},"
                     "{\"label\":\"kite\",\"points\":[[12,9],[10,12]],\"shape_type\":\"rectangle\"}],"
                     "\"imagePath\":\"..\\\\l\\\\a.png\",\"imageData\":null,\"imageHeight\":16,\"imageWidth\":20}");
    text("l/b.json", "{\"shapes\":[],\"imagePath\":\"a.png\"}");
    text("l/c.json", "{\"shapes\":[{\"label\":\"kite\",\n\"points\":[[1,2],[3]],}");
    text("l/d.json", "{\"shapes\":[{\"label\":\"dot\",\"points\":[[1,2]],\"shape_type\":\"point\"}],\"imagePath\":\"a.png\"}");
    text("l/e.json", "{\"shapes\":[{\"label\":\"kite\",\"points\":[[1,2],[3,\"x\"],[4,4]]}],\"imagePath\":\"a.png\"}");
    text("l/f.json", "{\"shapes\":[{\"label\":\"kite\",\"points\":[[1,1],[9,1],[1,9]]}],\"imagePath\":\"gone.png\"}");
    text("l/g.json", "{\"shapes\":[{\"label\":\"ball\",\"points\":[[5,5],[5,8]],\"shape_type\":\"circle\"}],\"imagePath\":\"g.png\"}");
    grey("l/a.png", 16, 20, 3);
    grey("l/g.png", 10, 10, 3);
    char write[4096];
    snprintf(write, sizeof write, "%s", in_dir("l-masks"));
    check("labelme", (why_listing_options){.path = "l", .write = write},
          "image,label,mask\nDIR/l/../l/a.png,kite,DIR/l-masks/a.png\nDIR/l/g.png,ball,DIR/l-masks/g.png\n",
          "2 pictures\nclasses: ball 1, kite 1\n5 refused:\n"
          "  DIR/l/b.json: its first shape has no label, or it has no shapes\n"
          "  DIR/l/c.json: line 2 is no JSON: string or '}' expected near '}'\n"
          "  DIR/l/d.json: a point of 1 points has no inside\n"
          "  DIR/l/e.json: point 2 of a shape is not two numbers\n"
          "  DIR/l/f.json: DIR/l/gone.png: No such file or directory\n");
    uint8_t *mask;
    int h, w, n = 0;
    OK(why_mask_load(in_dir("l-masks/a.png"), NULL, &mask, &h, &w));
    for (int i = 0; i < h * w; i++) n += mask[i] == 255;
    assert_int_equal(n, 6 * 4 + 2 * 3);
    assert_true(mask[1 * 20 + 2] && mask[4 * 20 + 7] && mask[9 * 20 + 10] && !mask[5 * 20 + 7] && !mask[0]);
    free(mask);
    assert_pixel("l-masks/g.png", 10, 10, 7, 5, 255);
    assert_pixel("l-masks/g.png", 10, 10, 8, 5, 0);
}

/* Every path of a list once, and no more refusals told than can be read. */
static void test_report_is_short(void **state) {
    (void)state;
    why_buf csv = {0}, report = {0};
    why_listing *l;
    const why_list_kind *k;
    why_buf_text(&csv, "ImageId,PredictionString\n");
    for (int i = 0; i < 30; i++) why_buf_printf(&csv, "gone%d,n%d 1 1 2 2\n", i, i);
    for (int i = 0; i < 15; i++) {
        char name[64];
        snprintf(name, sizeof name, "many/p%d.png", i);
        grey(name, 2, 2, 1);
        why_buf_printf(&csv, "p%d,n%d 1 1 2 2\n", i, i);
    }
    why_buf_printf(&csv, "p3,n3 1 1 2 2\n%c", 0);
    write_text("many.csv", (char *)csv.data);
    OK(why_list_kind_find("imagenet", &k));
    char images[4096];
    snprintf(images, sizeof images, "%s", in_dir("many"));
    OK(why_listing_create(k, &(why_listing_options){.path = in_dir("many.csv"), .images = images}, &l));
    why_listing_report(l, &report);
    why_buf_put(&report, "", 1);
    const char *text = (char *)report.data;
    assert_non_null(strstr(text, "15 pictures\nclasses: 15, each with 1 to 1 pictures\n31 refused:\n"));
    assert_non_null(strstr(text, "gone19"));
    assert_null(strstr(text, "gone20"));
    assert_non_null(strstr(text, "  and 11 more\n"));
    why_listing_destroy(&l);
    why_buf_clear(&csv);
    why_buf_clear(&report);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_folder),
        cmocka_unit_test(test_folder_errors),
        cmocka_unit_test(test_imagenet),
        cmocka_unit_test(test_voc),
        cmocka_unit_test(test_cbis),
        cmocka_unit_test(test_xray),
        cmocka_unit_test(test_idx),
        cmocka_unit_test(test_fashion),
        cmocka_unit_test(test_npy),
        cmocka_unit_test(test_labelme),
        cmocka_unit_test(test_report_is_short),
    };
    return cmocka_run_group_tests(tests, NULL, remove_dir);
}
