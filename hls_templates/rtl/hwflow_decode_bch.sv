// Decoder of a binary BCH code to its bounded distance: corrects up to T errors of a word, and passes a word on as it
// came, and in doubt, that lies further from every codeword. More than T errors may look like T or fewer, and are
// miscorrected.
//
//   N, K        bits of a word and of its data: data bits first, then the checks
//   M, T        the field is GF(2^M), of 2^M - 1 or more bits without the overall parity; M is 3 to 9
//   EXTENDED    1: the last check is the parity of the whole word, and a word whose errors it shows to be T+1 is in
//               doubt
//
// Bit i of the data stands for x^(R+i), bit j of the R checks without the parity for x^j; the code is shortened to
// them. The field is that of the primitive polynomial of the fewest terms (POLY); all else follows.
//
// Of a word: the odd syndromes; the error locator by the Berlekamp-Massey algorithm without inversion, whose step for a
// binary code takes two syndromes (I. S. Reed, M. T. Shih, T. K. Truong, IEE Proc. E 138(5), 1991; the first step is
// free, so that this is no more than a closed form for T = 1 and 2); its value at every position at once. A locator's
// terms x^c, x^2c, x^4c, ... are linear in y = x^c together: their sum is read off two tables of it by halves of y,
// which all positions share, instead of multiplied out for each. The word is corrected if as many positions are roots
// as the locator's order says; roots that are no position of the shortened code do not count.
//
// wrong_o: the word was no codeword. doubt_o has a bit for each of the data, here all the same: other block decoders know better.
//
// Timing: LATENCY = 2*T + 5 cycles with en_i, a word a cycle: the word; syndromes; for each step but the first the
// discrepancy, then the locator; tables; roots; their number by parts; whether to correct; the correction. The outputs
// hold without en_i.

`default_nettype none

module hwflow_decode_bch #(
    parameter int N        = 64,
    parameter int K        = 45,
    parameter int M        = 6,
    parameter int T        = 3,
    parameter int EXTENDED = 1
) (
    input  wire          clk_i,
    input  wire          en_i,
    input  wire  [N-1:0] data_i,
    output logic [K-1:0] data_o,
    output logic [K-1:0] doubt_o,
    output logic         wrong_o
);

    // What is not inlined is compiled once for all decoders of a simulated design.
    /* verilator no_inline_module */

    localparam int ORDER   = (1 << M) - 1;      // of the field's multiplicative group
    localparam int CYCLIC  = N - EXTENDED;      // bits without the parity
    localparam int CHECKS  = CYCLIC - K;
    localparam int TERMS   = T + 1;             // of a locator
    localparam int DEGREE_W = $clog2(2 * T);    // locators are of order 2*T - 1 at most
    localparam int GROUPS  = (T + 1) / 2;       // terms x^c, x^2c, x^4c, ... for every odd c
    localparam int LOW     = (M + 1) / 2;       // bits of the lower half of an element
    localparam int ENTRIES = 1 << LOW;          // of a table
    localparam int PART    = 16;                // positions that are counted together
    localparam int PARTS   = (CYCLIC + PART - 1) / PART;
    localparam int COUNT_W = $clog2(T + 2);     // a locator has T roots at most, and there may be a parity more

    if (M < 3 || M > 9) begin : gen_error_field
        initial $fatal(1, "hwflow_decode_bch: M (%0d) must be 3 to 9", M);
    end
    if (EXTENDED < 0 || EXTENDED > 1) begin : gen_error_parity
        initial $fatal(1, "hwflow_decode_bch: EXTENDED (%0d) must be 0 or 1", EXTENDED);
    end
    if (K < 1 || T < 1 || N - EXTENDED > (1 << M) - 1 || N - EXTENDED - K < 1 || N - EXTENDED - K > M * T)
    begin : gen_error_code
        initial $fatal(1, "hwflow_decode_bch: no code of N (%0d) and K (%0d) corrects T (%0d) errors", N, K, T);
    end

    localparam logic [M-1:0] POLY = M'((M == 3) ? 'h3 : (M == 4) ? 'h3 : (M == 5) ? 'h5 : (M == 6) ? 'h3 :
                                       (M == 7) ? 'h9 : (M == 8) ? 'h1d : 'h11);  // without x^M

    // Power i of the primitive element at bits [M*i +: M]
    function automatic logic [M*ORDER-1:0] all_powers();
        logic [M-1:0] element;
        all_powers = '0;
        element = M'(1);
        for (int i = 0; i < ORDER; i++) begin
            all_powers[M*i+:M] = element;
            element = {element[M-2:0], 1'b0} ^ (element[M-1] ? POLY : M'(0));
        end
    endfunction

    localparam logic [M*ORDER-1:0] POWERS = all_powers();

    // What the bits of an element become: powers first, first + stride and so on. Stride 1 multiplies by power first;
    // first 0 and stride 2^k raises to that power.
    function automatic logic [M*M-1:0] columns(input int first, input int stride);
        columns = '0;
        for (int b = 0; b < M; b++) columns[M*b+:M] = POWERS[M*((first+b*stride)%ORDER)+:M];
    endfunction

    // Bit b of syndrome j of all words with a single one, at bits [CYCLIC*b +: CYCLIC]
    function automatic logic [M*CYCLIC-1:0] syndrome_rows(input int j);
        logic [M-1:0] element;
        syndrome_rows = '0;
        for (int i = 0; i < CYCLIC; i++) begin
            element = POWERS[M*((j*((i<K)?CHECKS+i:i-K))%ORDER)+:M];
            for (int b = 0; b < M; b++) syndrome_rows[CYCLIC*b+i] = element[b];
        end
    endfunction

    function automatic logic [M-1:0] linear(input logic [M*M-1:0] matrix, input logic [M-1:0] a);
        linear = '0;
        for (int b = 0; b < M; b++) linear = linear ^ (matrix[M*b+:M] & {M{a[b]}});
    endfunction

    function automatic logic [M-1:0] product(input logic [M-1:0] a, input logic [M-1:0] b);
        /* verilator no_inline_task */
        logic [M-1:0] shifted;
        product = '0;
        shifted = a;
        for (int i = 0; i < M; i++) begin
            product = product ^ (shifted & {M{b[i]}});
            shifted = {shifted[M-2:0], 1'b0} ^ (POLY & {M{shifted[M-1]}});
        end
    endfunction

    // --- The word, which a block RAM's output register may be.

    logic [N-1:0] word_reg;

    always_ff @(posedge clk_i) if (en_i) word_reg <= data_i;

    // --- Its odd syndromes 2*i+1 at bits [M*i +: M], and its parity.

    wire [M*T-1:0] syndromes;
    logic [M*T-1:0] syndromes_reg;
    logic parity_reg;

    for (genvar i = 0; i < T; i++) begin : gen_syndrome
        localparam logic [M*CYCLIC-1:0] ROWS = syndrome_rows(2 * i + 1);
        for (genvar b = 0; b < M; b++) begin : gen_bit
            assign syndromes[M*i+b] = ^(word_reg[CYCLIC-1:0] & ROWS[CYCLIC*b+:CYCLIC]);
        end
    end

    always_ff @(posedge clk_i) begin
        if (en_i) begin
            syndromes_reg <= syndromes;
            parity_reg    <= (EXTENDED != 0) && ^word_reg;
        end
    end

    // --- The locator. Step 0 finds 1 + S1 x.

    wire [M*TERMS-1:0] locator;
    wire [DEGREE_W-1:0] degree;

    for (genvar s = 0; s < T; s++) begin : gen_step
        wire [M*TERMS-1:0] locator_next, correction_next;
        wire [DEGREE_W-1:0] degree_next;
        wire [M-1:0] scale_next;
        wire [M*T-1:0] syndromes_next;

        if (s == 0) begin : gen_first
            wire longer = syndromes_reg[M-1:0] != '0;
            assign locator_next    = (M * TERMS)'({syndromes_reg[M-1:0], M'(1)});
            assign correction_next = (M * TERMS)'({M'(!longer), M'(longer), {2 * M{1'b0}}});  // x^3 or x^2
            assign degree_next     = DEGREE_W'(longer);
            assign scale_next      = longer ? syndromes_reg[M-1:0] : M'(1);
            assign syndromes_next  = syndromes_reg;
        end else begin : gen_next
            localparam int USED = (2 * s - 1 < T) ? 2 * s : TERMS;  // terms that the locator may have so far

            wire [M*TERMS-1:0] locator_was = gen_step[s-1].locator_next;
            logic [M*TERMS-1:0] locator_reg, correction_reg, locator2_reg, correction2_reg;
            logic [DEGREE_W-1:0] degree_reg, degree2_reg;
            logic [M-1:0] scale_reg, scale2_reg, discrepancy_reg;

            for (genvar i = 0; i < USED; i++) begin : gen_term
                localparam int J     = 2 * s + 1 - i;  // the syndrome that it meets
                localparam int TWOS  = (J % 2 != 0) ? 0 : (J % 4 != 0) ? 1 : (J % 8 != 0) ? 2 : (J % 16 != 0) ? 3 :
                                       (J % 32 != 0) ? 4 : (J % 64 != 0) ? 5 : (J % 128 != 0) ? 6 : 7;
                localparam int ODD   = J >> TWOS;
                localparam logic [M*M-1:0] RAISE = columns(0, 1 << TWOS);
                wire [M-1:0] syndrome = linear(RAISE, gen_step[s-1].syndromes_next[M*(ODD/2)+:M]);
                wire [M-1:0] sum;
                if (i == 0) begin : gen_one
                    assign sum = product(locator_was[M-1:0], syndrome);
                end else begin : gen_more
                    assign sum = gen_term[i-1].sum ^ product(locator_was[M*i+:M], syndrome);
                end
            end

            wire longer = discrepancy_reg != '0 && degree_reg <= DEGREE_W'(s);

            for (genvar i = 0; i < TERMS; i++) begin : gen_update
                wire [M-1:0] grown;
                if (i <= 2 * s + 1) begin : gen_used
                    assign grown = product(scale_reg, locator_reg[M*i+:M]) ^
                                   product(discrepancy_reg, correction_reg[M*i+:M]);
                end else begin : gen_unused
                    assign grown = '0;
                end
                always_ff @(posedge clk_i) if (en_i) locator2_reg[M*i+:M] <= grown;
            end

            always_ff @(posedge clk_i) begin
                if (en_i) begin
                    locator_reg     <= locator_was;
                    correction_reg  <= gen_step[s-1].correction_next;
                    degree_reg      <= gen_step[s-1].degree_next;
                    scale_reg       <= gen_step[s-1].scale_next;
                    discrepancy_reg <= gen_term[USED-1].sum;
                    correction2_reg <= (longer ? locator_reg : correction_reg) << (2 * M);
                    degree2_reg     <= longer ? DEGREE_W'(2 * s + 1) - degree_reg : degree_reg;
                    scale2_reg      <= longer ? discrepancy_reg : scale_reg;
                end
            end

            hwflow_delay #(
                .WIDTH  (M * T),
                .STAGES (2)
            ) syndrome_line (
                .clk_i  (clk_i),
                .en_i   (en_i),
                .data_i (gen_step[s-1].syndromes_next),
                .data_o (syndromes_next)
            );

            assign locator_next    = locator2_reg;
            assign correction_next = correction2_reg;
            assign degree_next     = degree2_reg;
            assign scale_next      = scale2_reg;
        end
    end

    assign locator = gen_step[T-1].locator_next;
    assign degree  = gen_step[T-1].degree_next;

    wire unused_step = &{1'b0, gen_step[T-1].correction_next, gen_step[T-1].scale_next, gen_step[T-1].syndromes_next};

    // --- Tables of the terms x^c, x^2c, x^4c, ... by the lower and by the upper half of x^c.

    logic [M-1:0] constant_reg;

    always_ff @(posedge clk_i) if (en_i) constant_reg <= locator[M-1:0];

    for (genvar g = 0; g < GROUPS; g++) begin : gen_group
        localparam int C = 2 * g + 1;
        wire [M*M-1:0] basis;  // the terms of power b of the primitive element, in place of x^c, at bits [M*b +: M]
        wire [M*ENTRIES-1:0] low, high;
        logic [M*ENTRIES-1:0] low_reg, high_reg;

        for (genvar b = 0; b < M; b++) begin : gen_basis
            for (genvar k = 0; C << k <= T; k++) begin : gen_term
                localparam logic [M*M-1:0] MULTIPLY = columns((b << k) % ORDER, 1);
                wire [M-1:0] sum;
                if (k == 0) begin : gen_one
                    assign sum = linear(MULTIPLY, locator[M*C+:M]);
                end else begin : gen_more
                    assign sum = gen_term[k-1].sum ^ linear(MULTIPLY, locator[M*(C<<k)+:M]);
                end
                if (C << (k + 1) > T) begin : gen_last
                    assign basis[M*b+:M] = sum;
                end
            end
        end

        for (genvar e = 0; e < ENTRIES; e++) begin : gen_entry
            assign low[M*e+:M]  = linear(basis, M'(e));
            assign high[M*e+:M] = linear(basis, M'(e << LOW));
        end

        always_ff @(posedge clk_i) begin
            if (en_i) begin
                low_reg  <= low;
                high_reg <= high;
            end
        end

        wire unused_entries = &{1'b0, low_reg, high_reg};  // of a shortened code
    end

    // --- Roots of the locator, and how many there are.

    wire [CYCLIC-1:0] root;
    logic [CYCLIC-1:0] root_reg;
    wire [PART*PARTS-1:0] counted = (PART * PARTS)'(root_reg);
    logic [COUNT_W*PARTS-1:0] part_reg;
    logic [COUNT_W-1:0] count;

    for (genvar i = 0; i < CYCLIC; i++) begin : gen_position
        localparam int POSITION = (i < K) ? CHECKS + i : i - K;
        for (genvar g = 0; g < GROUPS; g++) begin : gen_value
            localparam int EXPONENT = (ORDER - ((2 * g + 1) * POSITION) % ORDER) % ORDER;
            localparam int ELEMENT  = 32'(POWERS[M*EXPONENT+:M]);
            localparam int LOWER    = ELEMENT % ENTRIES;
            localparam int UPPER    = ELEMENT / ENTRIES;
            wire [M-1:0] here = gen_group[g].low_reg[M*LOWER+:M] ^ gen_group[g].high_reg[M*UPPER+:M];
            wire [M-1:0] value;
            if (g == 0) begin : gen_one
                assign value = constant_reg ^ here;
            end else begin : gen_more
                assign value = gen_value[g-1].value ^ here;
            end
        end
        assign root[i] = gen_value[GROUPS-1].value == '0;
    end

    for (genvar p = 0; p < PARTS; p++) begin : gen_part
        logic [COUNT_W-1:0] some;
        always_comb begin
            some = '0;
            for (int i = 0; i < PART; i++) some = some + COUNT_W'(counted[PART*p+i]);
        end
        always_ff @(posedge clk_i) if (en_i) part_reg[COUNT_W*p+:COUNT_W] <= some;
    end

    always_comb begin
        count = '0;
        for (int p = 0; p < PARTS; p++) count = count + part_reg[COUNT_W*p+:COUNT_W];
    end

    // --- Whether to correct: a parity that does not fit the errors found is one more. There are never more than T
    // --- roots, and so no corrections by locators of a higher order.

    wire parity;
    wire [DEGREE_W-1:0] errors;
    wire [K-1:0] data, hit;
    logic good_reg, clean_reg;
    logic [COUNT_W-1:0] all_errors;

    hwflow_delay #(
        .WIDTH  (1),
        .STAGES (2 * T + 1)
    ) parity_line (
        .clk_i  (clk_i),
        .en_i   (en_i),
        .data_i (parity_reg),
        .data_o (parity)
    );

    hwflow_delay #(
        .WIDTH  (DEGREE_W),
        .STAGES (3)
    ) degree_line (
        .clk_i  (clk_i),
        .en_i   (en_i),
        .data_i (degree),
        .data_o (errors)
    );

    hwflow_delay #(
        .WIDTH  (K),
        .STAGES (2 * T + 3)
    ) data_line (
        .clk_i  (clk_i),
        .en_i   (en_i),
        .data_i (word_reg[K-1:0]),
        .data_o (data)
    );

    hwflow_delay #(
        .WIDTH  (K),
        .STAGES (2)
    ) hit_line (
        .clk_i  (clk_i),
        .en_i   (en_i),
        .data_i (root_reg[K-1:0]),
        .data_o (hit)
    );

    assign all_errors = count + COUNT_W'((EXTENDED != 0) && (parity ^ count[0]));

    always_ff @(posedge clk_i) begin
        if (en_i) begin
            root_reg <= root;
            good_reg <= 32'(errors) == 32'(count) && 32'(all_errors) <= T;
            data_o   <= data ^ (hit & {K{good_reg}});
            doubt_o  <= {K{!good_reg}};
            clean_reg <= all_errors == '0;
            wrong_o   <= !good_reg || !clean_reg;
        end
    end

endmodule

`default_nettype wire
